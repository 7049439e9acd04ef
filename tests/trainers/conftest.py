from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edgeirf.trainers.prepare import Recipe, prepare_run
from edgeirf.trainers.run import Run

torch.set_num_threads(1)


def write_parts(folder: Path, count: int = 10, side: int = 80, seed: int = 0) -> Path:
    """Pictures of a disc that moves a little."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for index in range(count):
        image = random.integers(40, 60, (side, side, 3), dtype=np.uint8)
        centre = tuple(int(side / 2 + v) for v in random.integers(-3, 4, 2))
        cv2.circle(image, centre, side // 3, (90, 160, 200), -1)
        cv2.imwrite(str(folder / f"{index:03}.png"), image)
    return folder


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    return write_parts(tmp_path / "parts")


@pytest.fixture
def new_run(tmp_path: Path, parts: Path):
    """Makes runs of a few steps at 64 pixels."""

    def make(name: str = "run", **choices) -> Run:
        recipe = Recipe(**{"preset": "nano", "size": (64, 64), "steps": 6, "batch": 4, **choices})
        return prepare_run(parts, tmp_path / name, recipe)[0]

    return make
