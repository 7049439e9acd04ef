from __future__ import annotations

from pathlib import Path

import pytest

from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.trainers.prepare import MAX_BATCH, Recipe, prepare_run
from edgeirf.trainers.run import locked


def test_two_trainings_do_not_write_into_one_folder(tmp_path: Path) -> None:
    place = tmp_path / "run"
    with locked(place):
        with pytest.raises(UsageError, match="another training is at work in"), locked(place):
            pass
        (place / "run.json").write_bytes(b"")
    with locked(place):
        pass
    assert [path.name for path in place.iterdir()] == ["run.json"]


def test_a_folder_that_nothing_came_of_is_not_left_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), locked(tmp_path / "run"):
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(batch=MAX_BATCH + 1), "--batch at least 1 and at most 4096"),
        (Recipe(learning_rate=float("nan")), "--learning-rate positive"),
        (Recipe(size=(250, 256)), "multiples of 32"),
        (Recipe(size=(4096, 4096), tiles=(1, 3)), "tiles side by side"),
    ],
)
def test_what_cannot_be_trained_is_said_before_a_picture_is_read(tmp_path: Path, recipe: Recipe, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prepare_run(tmp_path / "no folder", tmp_path / "run", recipe)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_said_before_a_picture_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EdgeirfError, match="cannot write"):
        prepare_run(tmp_path / "no folder", tmp_path / "file" / "run", Recipe())
