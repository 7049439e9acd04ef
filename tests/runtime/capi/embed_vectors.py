"""The shared vectors: frames, bundles, bare graphs, and what the Python runtime says of them."""

from __future__ import annotations

import json
import shutil
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
VECTORS = ROOT / "tests" / "data" / "embed"
CASES: list[dict[str, Any]] = json.loads((VECTORS / "expected.json").read_text())
GROUPS = [(*key, list(cases)) for key, cases in groupby(CASES, lambda case: (case["bundle"], case["product"]))]
"""Bundle, product and its cases: what a host is started for."""


def frame_of(case: dict[str, Any]) -> str:
    """A frame as hosts take it on their command lines."""
    path = VECTORS / case["picture"]
    return str(path) if path.suffix in (".ppm", ".pgm") else f"{path}:{case['width']}x{case['height']}"


def arguments(bundle: str, product: str, cases: list[dict[str, Any]]) -> list[str]:
    """Arguments of a host for one group."""
    return ["--product", product, str(VECTORS / bundle), *map(frame_of, cases)]


def check_line(case: dict[str, Any], line: str) -> None:
    """Compares what a host prints for a frame: the score to 1e-5, all else exactly."""
    boxes = "".join(f", {w}x{h} at {x},{y}" for x, y, w, h, *_ in case["regions"])
    head, score, rest = line.split(", ", 2)
    assert head == f"{frame_of(case)}: {'REJECT' if case['reject'] else 'good'}"
    assert float(score.removeprefix("score ")) == pytest.approx(case["score"], rel=1e-5)
    assert rest == f"p-value {case['p_value']:.6g}{boxes}"


def needs(*programs: str) -> None:
    """Skips the test where a program is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
