"""Each camera of a line has its own monitor, which remembers what was usual."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgeirf
from edgeirf.part import PartVerdict
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.line import drift
from edgeirf.runtime.line.config import read_config
from edgeirf.runtime.line.drift import DriftWatch
from edgeirf.runtime.line.opening import open_plan
from edgeirf.runtime.monitor.frames import FROZEN
from edgeirf.runtime.sources.frame import Frame

Picture = np.ndarray


@pytest.fixture(scope="module")
def detector(tiny_path: Path) -> Detector:
    return edgeirf.load(tiny_path, device="cpu", threads=1)


def show(watch: DriftWatch, detector: Detector, number: int, **pictures: Picture) -> str | None:
    """One part, seen by these views."""
    views = {view: detector(picture).verdict for view, picture in pictures.items()}
    frames = {view: Frame(picture, number, view) for view, picture in pictures.items()}
    return watch.watch(PartVerdict(number, False, "inspected", views), frames)


def test_each_camera_is_watched_by_its_own_frames(detector: Detector, good: Callable[..., Picture]) -> None:
    watch = DriftWatch(cameras=2)
    for view in ("top", "side"):
        watch.add(view, detector)
    for number in range(FROZEN):
        said = show(watch, detector, number, top=good(number), side=good(7))
    assert said == f"side: the same picture {FROZEN} times: check the camera and its driver"
    assert show(watch, detector, 9, top=good(9)) == said  # a part without that view says nothing new
    assert show(watch, detector, 10, top=good(10), side=good(11)) is None


def test_what_was_usual_is_there_after_a_restart_and_after_a_fault(
    detector: Detector, good: Callable[..., Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parts() -> int:
        return int(json.loads((tmp_path / "drift" / "top%2Fleft.json").read_bytes())["parts"])

    for start in range(2):
        watch = DriftWatch(1, tmp_path / "drift")
        watch.add("top/left", detector)
        show(watch, detector, 0, **{"top/left": good(start)})
        watch.add("top/left", detector)  # the line opens everything anew
        show(watch, detector, 1, **{"top/left": good(start + 5)})
        watch.close()
        assert parts() == 2 * (start + 1)
    monkeypatch.setattr(drift, "SAVE_S", 0.0)
    show(watch, detector, 2, **{"top/left": good(9)})
    assert parts() == 5


def test_a_file_that_does_not_fit_and_a_disk_that_takes_nothing_stop_no_line(
    detector: Detector, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "top.json").write_text("[]")
    watch = DriftWatch(1, tmp_path)
    watch.add("top", detector)
    assert "top: drift is learned anew: " in caplog.text
    DriftWatch(1, tmp_path / "top.json" / "drift").close()
    assert "what is usual on this line is not kept: cannot create" in caplog.text


def test_a_line_watches_every_camera_that_shares_a_detector(tmp_path: Path, tiny_path: Path) -> None:
    (tmp_path / "line.toml").write_text(
        f'[line]\ndeadline_ms = 5000\n[detector]\nmodel = "{tiny_path}"\ndevice = "cpu"\n'
        + "".join(f'[[camera]]\nname = "{name}"\nuri = "test://?size=64"\n' for name in ("top", "side"))
        + '[records]\ndrift = true\ndrift_folder = "drift"\n'
    )
    plan = open_plan(read_config(tmp_path / "line.toml"))
    for detectors in plan.detectors.values():
        detectors.open().close()
    assert plan.watch is not None
    plan.watch.close()
    assert sorted(path.name for path in (tmp_path / "drift").iterdir()) == ["side.json", "top.json"]
