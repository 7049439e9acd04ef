"""edgeirf: a folder of good parts becomes a verdict on the line.

>>> import edgeirf
>>> detector = edgeirf.load("bottle.irf")
>>> verdict = detector(frame)  # uint8 (H, W, 3) BGR or (H, W)
>>> verdict.reject, verdict.score, verdict.p_value, verdict.regions
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# ONNX Runtime reads it when it is imported: without it, it keeps a device id in ~/.cache and calls its vendor's host.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, BundleError, EdgeirfError, FrameError, SourceError, UsageError
from edgeirf.verdict import Region, Verdict

if TYPE_CHECKING:
    from edgeirf.runtime.detector import Detector, load

__version__ = "0.1.0"
__all__ = [
    "BackendError",
    "Bundle",
    "BundleError",
    "Detector",
    "EdgeirfError",
    "FrameError",
    "Region",
    "SourceError",
    "UsageError",
    "Verdict",
    "load",
]


def __getattr__(name: str) -> Any:
    # The runtime brings OpenCV and ONNX Runtime: loaded when first used, so that `edgeirf --help` is quick.
    if name in ("Detector", "load"):
        from edgeirf.runtime import detector

        return getattr(detector, name)
    raise AttributeError(f"module 'edgeirf' has no attribute {name!r}")
