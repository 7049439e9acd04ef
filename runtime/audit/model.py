"""What inspects a view, for the record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeirf.runtime.detector import Detector


@dataclass(frozen=True)
class Model:
    """What inspects a view.

    >>> Model(sha256="1f" * 32, precision="int8").engine
    ''

    Attributes:
        sha256: of the bundle.
        precision: of the graph in use: fp32, fp16, int8.
        device: cpu, openvino, cuda, tensorrt.
        engine: fingerprint of the engine; empty where there is none.
    """

    sha256: str = ""
    precision: str = ""
    device: str = ""
    engine: str = ""


def model_of(detector: Detector) -> Model:
    """What an open detector runs, as of now.

    >>> with edgeirf.load("bottle.irf", device="cpu") as detector:
    ...     model_of(detector).precision, model_of(detector).device
    ('fp32', 'cpu')
    """
    bundle = detector.bundle
    precision = bundle.manifest.models[detector.model_key].precision
    return Model(bundle.digest, precision, detector.device, detector.executor.fingerprint)
