"""Golden images: the bundle holds a few, with the scores of its FP32 graph, so that a device can check itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, BundleError
from edgeirf.manifest import Model
from edgeirf.runtime.executors.base import Network
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.settings import Preprocess, Scoring


def check(bundle: Bundle, model: Model, network: Network) -> float:
    """Scores the golden images with ``network`` and compares.

    Returns:
        the error; see :func:`error`.

    Raises:
        BackendError: it is above the model's ``golden_tolerance``, or a score is not finite.
        BundleError: the bundle has no usable golden images.
    """
    try:
        found = error(bundle.golden, bundle.manifest.preprocess, model.scoring, network)
    except (ValueError, TypeError) as problem:
        raise BundleError(f"{bundle.path}: golden.npz is unusable ({problem}): export it again") from None
    allowed = model.report.golden_tolerance
    if not found <= allowed:  # also when it is not a number
        raise BackendError(f"scores of the golden images are off by {found:.2g}, {allowed:.2g} is allowed")
    return found


def error(golden: Mapping[str, NDArray[Any]], settings: Preprocess, scoring: Scoring, network: Network) -> float:
    """Largest difference between the scores ``network`` gives and the golden ones, as a share of the largest of these.

    Args:
        golden: ``images`` ``(n, T, height, width, 3)`` and ``scores`` ``(n,)``.
        settings: of the bundle.
        scoring: of the graph.
        network: what to check.
    """
    images, expected = golden["images"], golden["scores"].astype(np.float64)
    if not len(expected) or len(images) != len(expected):
        raise ValueError(f"{len(images)} images and {len(expected)} scores")
    executor = CpuExecutor(network, settings, scoring)
    scores = np.array([executor.score_pixels(image).score for image in images])
    return float(np.max(np.abs(scores - expected)) / max(float(np.max(np.abs(expected))), 1e-12))
