"""A line on the GPU's path: frames in its memory; the GPU is lost, and the CPU takes over."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import driver_control
import numpy as np
import pytest
from ort_engine import OrtEngine

import edgeirf
from edgeirf.cli import main
from edgeirf.part import PartVerdict
from edgeirf.runtime.audit.history import History, Query
from edgeirf.runtime.line import opening
from edgeirf.runtime.line.config import read_config
from edgeirf.runtime.line.line import Line
from edgeirf.runtime.line.opening import open_plan
from edgeirf.runtime.sources import v4l2

LINE = """[line]
deadline_ms = {deadline}
cpu_takeover = true
[detector]
model = "{model}"
device = "tensorrt"
[[camera]]
name = "top"
uri = "parts"
[records]
audit = "audit.db"
"""


@pytest.fixture(autouse=True)
def given_back(engines: list[OrtEngine]) -> Iterator[None]:
    """On the GPU's path, and nothing is left of it."""
    yield
    driver_control.sweep()  # a GPU that is lost gives nothing back


@pytest.mark.parametrize(("cpu_ms", "taken_over"), [(None, True), (20_001.0, False)])
def test_the_cpu_takes_over_from_a_lost_gpu_where_it_meets_the_deadline(
    tiny_path: Path,
    tmp_path: Path,
    good: Callable[..., np.ndarray],
    cpu_ms: float | None,
    taken_over: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if cpu_ms is not None:
        monkeypatch.setattr(opening, "measured_ms", lambda *_: cpu_ms)
    (tmp_path / "parts").mkdir()
    for seed in range(9):
        cv2.imwrite(str(tmp_path / "parts" / f"{seed}.png"), good(seed))
    (tmp_path / "line.toml").write_text(LINE.format(deadline=20_000, model=tiny_path))
    said: list[str] = []
    seen: list[PartVerdict] = []
    states: list[tuple[str, str]] = []

    def decided(verdict: PartVerdict) -> None:
        seen.append(verdict)
        if len(seen) == 3:
            driver_control.fail("cuEventSynchronize", 1, driver_control.UNKNOWN, times=1_000_000)

    def changed(state: str, reason: str) -> None:
        states.append((state, reason))
        if state == "FAULT":  # nobody acknowledges
            line.stop()

    line = Line(open_plan(read_config(tmp_path / "line.toml"), said.append), decided, changed)
    problem = line.run()
    rows = list(History(tmp_path / "audit.db").rows(Query()))
    devices = [row.device for row in rows if row.kind == "model"]
    if not taken_over:
        assert any("the CPU does not take over" in one for one in said)
        assert devices == ["tensorrt"]
        assert "FAULT" in [state for state, _ in states]
        assert all(verdict.reject for verdict in seen[5:])
        return
    assert problem is None
    assert [verdict.part_id for verdict in seen] == list(range(1, 10))
    failed = [verdict for verdict in seen if verdict.reason == "error"]
    assert 1 <= len(failed) <= 2  # those in the GPU
    assert all(verdict.reject for verdict in failed)
    with edgeirf.load(tiny_path, "cpu", threads=1) as cpu:
        expected = [cpu(good(seed)).reject for seed in range(9)]
    assert not all(expected)
    for verdict, reject in zip(seen, expected, strict=True):
        assert verdict in failed or verdict.reject == reject
    assert [state for state, _ in states][:3] == ["READY", "RUNNING", "DEGRADED"]
    assert states[2][1].endswith(": the CPU inspects")
    assert devices == ["tensorrt", "cpu"]
    assert {row.device for row in rows if row.kind == "part" and row.reason == "inspected"} == {"tensorrt", "cpu"}


class Device:
    """In the place of ``cv2.VideoCapture``: a camera that gives the same picture, a hundred times a second."""

    def __init__(self, picture: np.ndarray) -> None:
        self.picture, self.into = picture, list[np.ndarray]()

    def isOpened(self) -> bool:
        return True

    def set(self, key: int, value: float) -> bool:
        return True

    def get(self, key: int) -> float:
        return {cv2.CAP_PROP_FRAME_HEIGHT: 64.0, cv2.CAP_PROP_FRAME_WIDTH: 64.0}.get(key, -1.0)

    def grab(self) -> bool:
        time.sleep(0.01)
        return True

    def retrieve(self, image: np.ndarray | None = None) -> tuple[bool, np.ndarray]:
        if image is None:
            return True, self.picture.copy()
        image[...] = self.picture
        return True, image

    def release(self) -> None:
        pass


@pytest.mark.parametrize("command", ["line", "flags"])
def test_a_camera_writes_into_page_locked_memory_and_its_frames_are_not_copied(
    command: str,
    tiny_path: Path,
    tmp_path: Path,
    good: Callable[..., np.ndarray],
    staged: list[int],
    memory: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = Device(good(1))
    monkeypatch.setattr(v4l2.cv2, "VideoCapture", lambda *_: device)
    if command == "line":
        (tmp_path / "line.toml").write_text(LINE.format(deadline=20_000, model=tiny_path).replace("parts", "0"))
        options = [str(tmp_path / "line.toml")]
    else:
        options = ["--camera", "0", "--model", str(tiny_path), "--device", "tensorrt"]
    monkeypatch.setattr(sys, "argv", ["edgeirf", "run", *options, "--max-frames", "12"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert len(staged) <= 1  # OpenCV gives the first frame; then the size is known
    if memory == "discrete":
        assert driver_control.count("bytes_up") >= 12 * device.picture.nbytes
