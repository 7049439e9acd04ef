"""The benchmarks are a folder of scripts beside the package: tests import them from the root."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from edgeirf.trainers.prepare import Recipe, prepare_run
from edgeirf.trainers.run import Run

torch.set_num_threads(1)


def write_parts(folder: Path, count: int, *, seed: int, scratched: bool = False) -> None:
    """Pictures of a disc that moves a little; scratched ones have a white line."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for index in range(count):
        image = random.integers(40, 60, (80, 80, 3), dtype=np.uint8)
        cv2.circle(image, tuple(int(40 + v) for v in random.integers(-3, 4, 2)), 26, (90, 160, 200), -1)
        if scratched:
            cv2.line(image, (25, 40), (55, 44), (255, 255, 255), 3)
        cv2.imwrite(str(folder / f"{index:03}.png"), image)


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set in MVTec layout, without masks."""
    folder = tmp_path_factory.mktemp("sets") / "discs"
    write_parts(folder / "train" / "good", 40, seed=0)
    write_parts(folder / "test" / "good", 6, seed=1)
    write_parts(folder / "test" / "scratch", 6, seed=2, scratched=True)
    return folder


@pytest.fixture(scope="session")
def disc_run(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run at 64 pixels with its split; a baseline needs no trained network."""
    return prepare_run(parts, tmp_path_factory.mktemp("run") / "discs", Recipe("nano", size=(64, 64), steps=1))[0]
