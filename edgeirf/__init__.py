"""edgeirf: a folder of good parts becomes a verdict on the line.

import edgeirf

with edgeirf.load("bottle.irf") as detector:
    inspection = detector(frame)  # uint8 (H, W, 3) BGR or (H, W)
    inspection.reject, inspection.score, inspection.p_value, inspection.regions
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

# ONNX Runtime reads it when it is imported: without it, it keeps a device id in ~/.cache and calls its vendor's host.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from edgeirf.errors import BackendError, BundleError, EdgeirfError, FrameError, SourceError, UsageError

if TYPE_CHECKING:
    from edgeirf.bundle import Bundle
    from edgeirf.runtime.detector import Detector, load
    from edgeirf.runtime.inspection import Inspection
    from edgeirf.verdict import Region, Verdict

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


_clone = Path(__file__).parent.parent
if not (Path(__file__).parent / "runtime").exists() and (_clone / "runtime" / "detector.py").is_file():
    # Started in a clone, where this folder hides the installed package: its parts lie beside it.
    __path__.append(str(_clone))

_LAZY = {
    "Bundle": "edgeirf.bundle",
    "Detector": "edgeirf.runtime.detector",
    "Inspection": "edgeirf.runtime.inspection",
    "Region": "edgeirf.verdict",
    "Verdict": "edgeirf.verdict",
    "load": "edgeirf.runtime.detector",
}


def __getattr__(name: str) -> Any:
    # NumPy, OpenCV and ONNX Runtime are loaded when first used: `edgeirf --help` is quick, and Ctrl-C ends it cleanly.
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'edgeirf' has no attribute {name!r}")
