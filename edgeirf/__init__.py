"""edgeirf: a folder of good parts becomes a verdict on the line.

import edgeirf

with edgeirf.load("bottle.irf") as detector:
    inspection = detector(frame)  # uint8 (H, W, 3) BGR or (H, W)
    inspection.reject, inspection.score, inspection.p_value, inspection.regions
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, BundleError, EdgeirfError, FrameError, SourceError, UsageError
from edgeirf.verdict import Region, Verdict

if TYPE_CHECKING:
    from edgeirf.runtime.detector import Detector, load
    from edgeirf.runtime.inspection import Inspection

__version__ = "0.1.0"
__all__ = [
    "BackendError",
    "Bundle",
    "BundleError",
    "Detector",
    "EdgeirfError",
    "FrameError",
    "Inspection",
    "Region",
    "SourceError",
    "UsageError",
    "Verdict",
    "load",
]


def __getattr__(name: str) -> Any:
    # The runtime imports OpenCV and ONNX Runtime: loaded at the first use, so that `edgeirf --help` is quick.
    if name in ("Detector", "load"):
        from edgeirf.runtime import detector

        return getattr(detector, name)
    if name == "Inspection":
        from edgeirf.runtime.inspection import Inspection

        return Inspection
    raise AttributeError(f"module 'edgeirf' has no attribute {name!r}")
