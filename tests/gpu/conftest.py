"""The emulators, and the helpers beside the kernels' tests, are imported by name: ``shim``, ``ptx``, ``references``."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "emulators"), str(HERE / "kernels")]
