"""Golden images: a few in the bundle, with the scores its FP32 graph gave them, so that a device can check itself."""

from __future__ import annotations

import numpy as np

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, BundleError
from edgeirf.manifest import Model
from edgeirf.runtime.backends import Backend
from edgeirf.runtime.chain import HostChain

TOLERANCE = 1e-2
"""Allowed error where the model's report states none."""


def check(bundle: Bundle, model: Model, backend: Backend) -> float:
    """Scores the golden images with ``backend`` and compares.

    The error is the largest difference of a score, as a share of the largest golden score.

    Returns:
        the error.

    Raises:
        BackendError: the scores do not agree within :func:`tolerance`, or are not finite.
    """
    images, expected = bundle.golden["images"], bundle.golden["scores"].astype(np.float64)
    if len(images) != len(expected) or not len(expected):
        raise BundleError(f"{bundle.path}: golden.npz is empty: export it again")
    chain = HostChain(backend, bundle.manifest.preprocess, model.scoring)
    scores = np.array([chain.score_prepared(image).score for image in images])
    error = float(np.max(np.abs(scores - expected)) / max(float(np.max(np.abs(expected))), 1e-12))
    allowed = tolerance(model)
    if not error <= allowed:  # also when it is not a number
        raise BackendError(f"scores of the golden images are off by {error:.2g}, {allowed:.2g} is allowed")
    return error


def tolerance(model: Model) -> float:
    """The model's ``golden_tolerance``, stated by the gate that measured it, else :data:`TOLERANCE`."""
    stated = model.report.get("golden_tolerance")
    return float(stated) if isinstance(stated, (int, float)) and 0 < stated < 1 else TOLERANCE
