"""The benchmarks are a folder of scripts beside the package: tests take their fake camera and detector."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))
