"""Files, pictures and lines: nothing lost, nothing half."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeirf.errors import EdgeirfError
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.line.stats import Stats
from edgeirf.runtime.sinks import rejects, window
from edgeirf.runtime.sinks.jsonl import JsonLines
from edgeirf.runtime.sinks.live import LiveStatus
from edgeirf.runtime.sinks.rejects import QUEUE, RejectSaver, file_name
from edgeirf.runtime.sinks.window import check_display, picture
from edgeirf.runtime.sources.frame import Frame
from edgeirf.runtime.synthetic.conveyor import open_synthetic
from edgeirf.verdict import Region, Verdict

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def verdict(number: int = 0, reject: bool = True, **more: object) -> Verdict:
    fields = {"regions": (Region(5, 5, 10, 10, 100, 9.0),), "latency_ms": {"camera_to_verdict": 3.00049}}
    made = {"make_map": lambda: np.full((40, 50), 5.0, np.float32)}
    return Verdict(reject, 9.0, 0.01, 4.0, frame_id=number, **{**fields, **made, **more})


FAILED = Verdict(True, None, None, 4.0, status="error", error="cut\nshort", frame_id=3)


def test_json_lines_are_there_before_the_next_frame(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.jsonl"
    sink = JsonLines(str(path))
    for number in range(3):
        sink.write(Frame(IMAGE, number, "s"), verdict(number))
        lines = path.read_text().splitlines()
        assert len(lines) == number + 1
    sink.write(Frame(None, 3, "s\udcff"), FAILED)
    sink.close()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["frame_id"] for row in rows] == [0, 1, 2, 3]
    assert rows[0]["regions"] == [{"x": 5, "y": 5, "width": 10, "height": 10, "area": 100, "peak": 9.0}]
    assert rows[0]["latency_ms"] == {"camera_to_verdict": 3.0}
    assert rows[3]["error"] == "cut\nshort"
    assert rows[3]["score"] is None


def test_a_file_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(EdgeirfError, match=r"cannot write .*Is a directory"):
        JsonLines(str(tmp_path))
    if Path("/dev/full").exists():
        sink = JsonLines("/dev/full")
        with pytest.raises(EdgeirfError, match="No space left"):
            sink.write(Frame(IMAGE, 0, "s"), verdict())


def test_rejects_are_saved_untouched_and_with_their_heat_map(tmp_path: Path) -> None:
    sink = RejectSaver(str(tmp_path / "rejects"), 2.0)
    gray16 = (IMAGE[..., 0].astype(np.uint16) << 4) + 3
    sink.write(Frame(IMAGE, 0, "parts/a b.png"), verdict(0))
    sink.write(Frame(IMAGE, 1, "parts/good.png"), verdict(1, reject=False))
    sink.write(Frame(gray16, 2, "0", 1_700_000_000.25), verdict(2))
    sink.write(Frame(None, 3, "0", error="no frame"), FAILED)
    sink.write(Frame(IMAGE, 4, "/x/../..//\u00e4.png"), FAILED)
    sink.close()
    names = sorted(path.name for path in (tmp_path / "rejects").iterdir())
    assert names == [
        "000000_a-b.png",
        "000000_a-b_overlay.jpg",
        "000004.png",
        "20231114T221320250Z_000002.png",
        "20231114T221320250Z_000002_overlay.jpg",
    ]
    np.testing.assert_array_equal(read_image(tmp_path / "rejects" / names[0]), IMAGE)
    np.testing.assert_array_equal(read_image(tmp_path / "rejects" / names[3]), gray16)
    assert read_image(tmp_path / "rejects" / names[1]).shape == IMAGE.shape


def test_a_slow_disk_holds_the_line_up_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go, saved = threading.Event(), []

    def slow(path: Path, data: bytes) -> None:
        go.wait(10)
        saved.append(path.name)

    monkeypatch.setattr(rejects, "write_bytes", slow)
    sink = RejectSaver(str(tmp_path), 2.0)
    writer = threading.Thread(target=lambda: [sink.write(Frame(IMAGE, n, "s"), verdict(n)) for n in range(QUEUE + 5)])
    writer.start()
    writer.join(0.2)
    assert writer.is_alive()
    go.set()
    writer.join()
    sink.close()
    assert len(saved) == 2 * (QUEUE + 5)
    assert saved == sorted(saved, key=lambda name: (name[:6], "overlay" in name))


def test_a_full_disk_is_reported_and_does_not_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise EdgeirfError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(rejects, "write_bytes", full)
    sink = RejectSaver(str(tmp_path), 2.0)
    sink.write(Frame(IMAGE, 0, "s"), verdict())
    with pytest.raises(EdgeirfError, match="No space"):
        sink.close()
    (tmp_path / "file").touch()
    with pytest.raises(EdgeirfError, match="cannot make the folder"):
        RejectSaver(str(tmp_path / "file" / "folder"), 2.0)


@pytest.mark.parametrize(
    "source", ["../../etc/passwd", "C:\\x\\y.png", "a" * 300 + ".png", "\u96f6\u4ef6.png", "-rf.png", ".."]
)
def test_file_names_are_plain(source: str) -> None:
    name = file_name(Frame(IMAGE, 17, source))
    assert re.fullmatch(r"000017(_[A-Za-z0-9-]{1,80})?", name)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def live(stream: io.StringIO) -> tuple[LiveStatus, Stats]:
    stats = Stats()
    return LiveStatus(stream, stats, open_synthetic("test://?count=100")), stats


def test_a_terminal_sees_one_line_rewritten() -> None:
    stream = Terminal()
    sink, stats = live(stream)
    for number in range(200):
        stats.add(verdict(number, reject=False))
        sink.write(Frame(IMAGE, number, "s"), verdict(number))
    sink.close()
    text = stream.getvalue()
    assert "\n" not in text
    assert text.startswith("\r\x1b[K1/100 frames")
    assert text.endswith("\r\x1b[K")
    assert text.count("frames") < 50


def test_a_log_sees_a_plain_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeirf.runtime.sinks.live.LOG", 0.0)
    stream = io.StringIO()
    sink, stats = live(stream)
    stats.add(verdict())
    sink.write(Frame(IMAGE, 0, "s"), verdict())
    sink.close()
    assert stream.getvalue() == "1/100 frames · 0.0/s · 1 rejected · p50 3.0 ms, p99 3.0 ms\n"
    monkeypatch.undo()
    quiet = io.StringIO()
    sink, stats = live(quiet)
    stats.add(verdict())
    sink.write(Frame(IMAGE, 0, "s"), verdict())
    assert quiet.getvalue() == ""


def test_why_a_frame_failed_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    sink, stats = live(io.StringIO())
    for _ in range(3):
        stats.add(FAILED)
        sink.write(Frame(None, 3, "s", error="cut short"), FAILED)
    assert capsys.readouterr().err == "edgeirf: cut short\n"


def test_no_display_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if sys.platform == "linux":
        with pytest.raises(EdgeirfError, match="DISPLAY is not set"):
            check_display()
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setattr(window, "_PROBE", "import os; os.abort()")
    with pytest.raises(EdgeirfError, match="cannot open a window"):
        check_display()
    monkeypatch.setattr(window, "_PROBE", "")
    check_display()


@pytest.mark.parametrize("image", [IMAGE, IMAGE[..., 0], np.zeros((3000, 2000), np.uint16)])
@pytest.mark.parametrize("said", [verdict(), verdict(reject=False), FAILED])
def test_the_window_shows_every_frame_with_its_verdict(image: np.ndarray, said: Verdict) -> None:
    if said.status == "ok":
        said = verdict(reject=said.reject, make_overlay=lambda frame: np.zeros((*frame.shape[:2], 3), np.uint8))
    shown = picture(Frame(image, 0, "s"), said)
    assert shown.dtype == np.uint8
    assert shown.shape[0] - 36 <= window.LARGEST
    red, green = (bool((shown[2, 2] == colour).all()) for colour in (window._REJECT, window._PASS))
    assert (red, green) == (said.reject, not said.reject)
    assert cv2.countNonZero(shown[:36, :, 0]) > 0
