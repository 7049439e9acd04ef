from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeirf.errors import UsageError
from edgeirf.trainers.prepare import Recipe, prepare_run
from edgeirf.trainers.run import Run


def write_noise(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index in range(count):
        noise = np.random.default_rng(index).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{index:02}.png"), noise)
    return folder


def test_excluded_pictures_are_in_no_part_of_the_run(tmp_path: Path) -> None:
    recipe = Recipe("nano", size=(64, 64), excluded=(Path("03.png"), Path("good/07.png")))
    run, _ = prepare_run(write_noise(tmp_path / "good", 12), tmp_path / "run", recipe)
    names = {Path(picture.file).name for picture in run.config.pictures}
    assert names == {f"{i:02}.png" for i in range(12)} - {"03.png", "07.png"}


def test_a_name_that_means_no_picture_is_refused_before_the_run_starts(tmp_path: Path) -> None:
    recipe = Recipe("nano", size=(64, 64), excluded=(Path("99.png"),))
    with pytest.raises(UsageError, match=r"names 99\.png"):
        prepare_run(write_noise(tmp_path / "good", 12), tmp_path / "run", recipe)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\nb", b"a\x1bb"])
def test_a_run_in_a_folder_of_any_name_is_read_back(tmp_path: Path, name: bytes) -> None:
    place = tmp_path / os.fsdecode(name)
    run, _ = prepare_run(write_noise(tmp_path / "good", 12), place, Recipe("nano", size=(64, 64)))
    assert run.config.name.isprintable()
    assert Run(place).config == run.config
