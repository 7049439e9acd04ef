from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edgeirf.trainers.prepare import Recipe, prepare_run
from edgeirf.trainers.run import Run
from edgeirf.trainers.train import train

torch.set_num_threads(1)


def write_parts(folder: Path, colour: tuple[int, int, int], seed: int) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for index in range(40):
        image = random.integers(40, 60, (80, 80, 3), dtype=np.uint8)
        cv2.circle(image, tuple(int(40 + v) for v in random.integers(-3, 4, 2)), 26, colour, -1)
        cv2.imwrite(str(folder / f"{index:03}.png"), image)


@pytest.fixture(scope="session")
def unified_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A real, if short, run on two products at 64 pixels."""
    folder = tmp_path_factory.mktemp("unified")
    write_parts(folder / "data" / "blue", (200, 120, 60), 0)
    write_parts(folder / "data" / "red", (60, 60, 200), 1)
    recipe = Recipe("nano", unified=True, size=(64, 64), steps=40, batch=32, method="invad")
    run, _ = prepare_run(folder / "data", folder / "run", recipe)
    assert train(run, device="cpu")
    return run
