"""A bundle that was made by version 0.1.0 gives the scores that version 0.1.0 gave."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import edgeirf

DATA = Path(__file__).resolve().parents[1] / "data"
SHAPES = [(64, 64, 3), (100, 80, 3), (128, 128), (200, 300, 3), (64, 96)]


def frames() -> list[np.ndarray]:
    """For each shape a frame of noise and a frame of waves."""
    made: list[np.ndarray] = []
    for seed, shape in enumerate(SHAPES):
        y, x = np.mgrid[: shape[0], : shape[1]]
        waves = (128 + 100 * np.sin(x / 7 + seed) * np.cos(y / 11)).astype(np.uint8)
        made.append(np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8))
        made.append(np.repeat(waves[..., None], 3, 2) if len(shape) == 3 else waves)
    return made


def test_scores_are_those_of_the_code_that_made_the_bundle() -> None:
    expected = json.loads((DATA / "schema1.scores.json").read_text())
    with edgeirf.load(DATA / "schema1.irf", "cpu", threads=1) as detector:
        assert detector.threshold == expected["threshold"]
        assert detector.pixel_threshold == expected["pixel_threshold"]
        for frame, row in zip(frames(), expected["frames"], strict=True):
            found = detector(frame)
            assert found.score == pytest.approx(row["score"], rel=1e-5)
            assert found.map().max() <= row["peak"] * (1 + 1e-5)
            assert (found.reject, found.p_value) == (row["reject"], row["p_value"])
            assert [[r.x, r.y, r.width, r.height] for r in found.regions] == row["regions"]
