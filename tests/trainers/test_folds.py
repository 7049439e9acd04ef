from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.errors import EdgeirfError
from edgeirf.trainers.folds import create_folds, folds_of, held_out_in_turn, unfinished
from edgeirf.trainers.run import MODEL, Picture, Run

MakeRun = Callable[..., Run]


@given(st.lists(st.integers(8, 60), min_size=1, max_size=3))
def test_every_part_is_held_out_once_and_none_for_nothing(counts: list[int]) -> None:
    pictures = [
        Picture(f"p{product}", f"{i}.png", hashlib.sha256(f"{product}/{i}".encode()).hexdigest(), held_out=False)
        for product, count in enumerate(counts)
        for i in range(count)
    ]
    turns = held_out_in_turn(pictures)
    assert len(turns) in (4, 5)
    for product, count in enumerate(counts):
        parts = [turn[f"p{product}"] for turn in turns]
        assert all(parts)
        assert sum(map(len, parts)) == len(set().union(*parts)) == count


def test_the_run_itself_holds_out_the_first_fifth(new_run: MakeRun) -> None:
    run = new_run(cross_fit=True)
    (first, *_) = held_out_in_turn(run.config.pictures)
    assert {p.sha256 for p in run.config.pictures if p.held_out} == set().union(*first.values())


def test_folds_are_runs_that_hold_out_the_other_parts(new_run: MakeRun) -> None:
    run = new_run(cross_fit=True)
    assert folds_of(run) == []
    assert unfinished(run)
    folds = create_folds(run)
    held_out = [{picture.file for picture in one.config.pictures if picture.held_out} for one in (run, *folds)]
    assert sum(map(len, held_out)) == len(set().union(*held_out)) == len(run.config.pictures) == 10
    for fold, files in zip(folds, held_out[1:], strict=True):
        parts = fold.held_out()["parts"]
        assert len(parts.clean) == len(parts.varied) == len(files)
        assert fold.config.steps == run.config.steps
        assert not fold.config.cross_fit
    assert [fold.folder for fold in folds_of(run)] == [fold.folder for fold in folds]
    assert not np.array_equal(run.held_out()["parts"].clean, folds[0].held_out()["parts"].clean)


def test_folds_that_are_there_are_kept_and_finished_one_by_one(new_run: MakeRun) -> None:
    run = new_run(cross_fit=True)
    folds = create_folds(run)
    stamps = [(fold.folder / "run.json").stat().st_mtime_ns for fold in folds]
    assert [(fold.folder / "run.json").stat().st_mtime_ns for fold in create_folds(run)] == stamps
    for one in (run, *folds):
        assert unfinished(run)
        (one.folder / MODEL).touch()
    assert not unfinished(run)


def test_a_picture_that_is_gone_stops_the_folds(new_run: MakeRun) -> None:
    run = new_run(cross_fit=True)
    for picture in run.config.pictures:
        Path(picture.file).unlink()
    with pytest.raises(EdgeirfError, match="moved or changed since the run began: train again"):
        create_folds(run)
