"""The shared vectors: pictures, two bundles, and what the Python runtime says of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
VECTORS = ROOT / "tests" / "data" / "embed"


def expected() -> list[dict[str, Any]]:
    """The shared vectors: bundle, picture, and what the Python runtime says of it."""
    cases: list[dict[str, Any]] = json.loads((VECTORS / "expected.json").read_text())
    return cases


def line_of(case: dict[str, Any], path: str) -> str:
    """What every host prints for a vector."""
    boxes = "".join(f", {w}x{h} at {x},{y}" for x, y, w, h, *_ in case["regions"])
    word = "REJECT" if case["reject"] else "good"
    return f"{path}: {word}, score {case['score']:.6g}, p-value {case['p_value']:.6g}{boxes}"


def needs(*programs: str) -> None:
    """Skips the test where a program is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
