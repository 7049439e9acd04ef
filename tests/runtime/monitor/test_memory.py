from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeirf
from edgeirf.calib.conditions.perturb import Change
from edgeirf.errors import EdgeirfError
from edgeirf.part import PartVerdict
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.monitor import Monitor
from edgeirf.runtime.monitor.memory import read_memory
from edgeirf.verdict import Verdict

Picture = NDArray[np.uint8]


@pytest.fixture
def detector(tiny_path: Path) -> Iterator[Detector]:
    with edgeirf.load(tiny_path, device="cpu", threads=1) as opened:
        yield opened


def watch(monitor: Monitor, frames: list[Picture], start: int = 0) -> str | None:
    """The last reason; one part an hour."""
    said = None
    for at, frame in enumerate(frames):
        verdict = Verdict(False, 30.0 + at % 7, 0.5, 1e9, captured_at=3600.0 * (start + at))
        said = monitor.watch(PartVerdict(at, False, "inspected", {"top": verdict}), frame)
    return said


def test_a_line_that_is_restarted_every_day_still_sees_what_changes_over_days(
    detector: Detector, good: Callable[..., Picture], tmp_path: Path
) -> None:
    kept, said = tmp_path / "drift.json", None
    light = [*np.zeros(200), *np.linspace(0, -0.12, 400)]
    for day in range(0, 600, 50):
        monitor = Monitor(detector)
        assert monitor.restore(kept) == (day > 0)
        frames = [Change(brightness=float(light[at]))(good(at)) for at in range(day, day + 50)]
        said = watch(monitor, frames, day)
        monitor.save(kept)
    assert monitor.status().parts == 600
    assert said is not None
    assert "light -" in said
    assert said.endswith("days")


def test_what_is_kept_is_given_again(detector: Detector, good: Callable[..., Picture], tmp_path: Path) -> None:
    monitor, twin = Monitor(detector), Monitor(detector)
    for count in (30, 130):  # while it learns, and after
        watch(monitor, [good(at) for at in range(count)])
        monitor.save(tmp_path / "a.json")
        assert twin.restore(tmp_path / "a.json")
        twin.save(tmp_path / "b.json")
        assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_the_memory_of_another_bundle_is_not_taken(
    detector: Detector, tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    Monitor(detector).save(tmp_path / "kept.json")
    with edgeirf.load(tiny_bundle(tmp_path / "other.irf", name="other"), device="cpu") as other:
        assert not Monitor(other).restore(tmp_path / "kept.json")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("frames", "usual"), [[1.0]]),
        (("frames", "ranks"), []),
        (("frames", "history"), [[0.0, 0, [0.0] * 7]]),
        (("scores", 0, "counts"), [[9999, 1]]),
        (("scores", 0, "counts"), [[2, 1], [1, 1]]),
        (("parts",), "many"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(
    detector: Detector, tmp_path: Path, path: tuple[str | int, ...], value: object
) -> None:
    kept = tmp_path / "kept.json"
    Monitor(detector).save(kept)
    raw = json.loads(kept.read_text())
    place = raw
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    kept.write_text(json.dumps(raw))
    with pytest.raises(EdgeirfError, match=r"is no memory of a monitor .*remove it, and the line learns anew"):
        Monitor(detector).restore(kept)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"[" * 50_000, b"\xff"])
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "kept.json").write_bytes(content)
    with pytest.raises(EdgeirfError, match="is no memory of a monitor"):
        read_memory(tmp_path / "kept.json")


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    with pytest.raises(EdgeirfError, match="cannot read"):
        read_memory(tmp_path)
    assert read_memory(tmp_path / "none") is None
