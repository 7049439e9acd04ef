"""Files, pictures and lines: nothing lost, nothing half."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeirf.errors import EdgeirfError
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.sinks import Record, rejects, window
from edgeirf.runtime.sinks.jsonl import JsonLines
from edgeirf.runtime.sinks.rejects import QUEUE, RejectSaver, file_name
from edgeirf.runtime.sinks.window import check_display, picture
from edgeirf.runtime.sources.frame import Frame
from edgeirf.verdict import Region, Verdict

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def verdict(number: int = 0, reject: bool = True, **more: object) -> Verdict:
    fields = {"regions": (Region(5, 5, 10, 10, 100, 9.0),), "latency_ms": {"camera_to_verdict": 3.00049}}
    return Verdict(reject, 9.0, 0.01, 4.0, 2.0, frame_id=number, **{**fields, **more})


def record(frame: Frame, said: Verdict) -> Record:
    """What the pipeline hands to a sink that needs a frame and a map."""
    return Record(said, frame, np.full((40, 50), 5.0, np.float32) if said.status == "ok" else None)


FAILED = Verdict(True, None, None, 4.0, status="error", error="cut\nshort", frame_id=3)


def test_json_lines_are_there_before_the_next_frame(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.jsonl"
    sink = JsonLines(str(path))
    for number in range(3):
        sink.write(record(Frame(IMAGE, number, "s"), verdict(number)))
        lines = path.read_text().splitlines()
        assert len(lines) == number + 1
    sink.write(record(Frame(None, 3, "s\udcff"), FAILED))
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
            sink.write(record(Frame(IMAGE, 0, "s"), verdict()))


def test_rejects_are_saved_untouched_and_with_their_heat_map(tmp_path: Path) -> None:
    sink = RejectSaver(str(tmp_path / "rejects"))
    gray16 = (IMAGE[..., 0].astype(np.uint16) << 4) + 3
    sink.write(record(Frame(IMAGE, 0, "parts/a b.png"), verdict(0)))
    assert not sink.wants(verdict(1, reject=False))
    sink.write(record(Frame(gray16, 2, "0", 1_700_000_000.25), verdict(2)))
    sink.write(record(Frame(None, 3, "0", error="no frame"), FAILED))
    sink.write(record(Frame(IMAGE, 4, "/x/../..//\u00e4.png"), FAILED))
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
    sink = RejectSaver(str(tmp_path))
    writer = threading.Thread(
        target=lambda: [sink.write(record(Frame(IMAGE, n, "s"), verdict(n))) for n in range(QUEUE + 5)]
    )
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
    sink = RejectSaver(str(tmp_path))
    sink.write(record(Frame(IMAGE, 0, "s"), verdict()))
    with pytest.raises(EdgeirfError, match="No space"):
        sink.close()
    (tmp_path / "file").touch()
    with pytest.raises(EdgeirfError, match="cannot create the folder"):
        RejectSaver(str(tmp_path / "file" / "folder"))


@pytest.mark.parametrize(
    "source", ["../../etc/passwd", "C:\\x\\y.png", "a" * 300 + ".png", "\u96f6\u4ef6.png", "-rf.png", ".."]
)
def test_file_names_are_plain(source: str) -> None:
    name = file_name(Frame(IMAGE, 17, source))
    assert re.fullmatch(r"000017(_[A-Za-z0-9-]{1,80})?", name)


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
    overlay = np.zeros((*image.shape[:2], 3), np.uint8) if said.status == "ok" else None
    shown = picture(said, image, overlay)
    assert shown.dtype == np.uint8
    assert shown.shape[0] - 36 <= window.LARGEST
    red, green = (bool((shown[2, 2] == colour).all()) for colour in (window._REJECT, window._PASS))
    assert (red, green) == (said.reject, not said.reject)
    assert cv2.countNonZero(shown[:36, :, 0]) > 0


def test_verdicts_are_added_and_a_half_line_of_a_killed_run_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"frame_id": 7}\n{"fra')
    sink = JsonLines(str(path))
    assert sink.held == 21
    sink.write(record(Frame(IMAGE, 0, "s"), verdict(0)))
    sink.close()
    first, half, added = path.read_text().splitlines()
    assert (first, half) == ('{"frame_id": 7}', '{"fra')
    assert json.loads(added)["frame_id"] == 0


def test_a_pipe_that_nobody_reads_is_an_error_and_one_that_is_read_gets_the_lines(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(EdgeirfError, match="nobody reads this pipe: start its reader first"):
        JsonLines(str(tmp_path / "pipe"))
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    lines = JsonLines(str(tmp_path / "pipe"))
    lines.append("{}")
    lines.close()
    assert os.read(reader, 99) == b"{}\n"
    os.close(reader)


def test_two_runs_never_write_to_one_file(tmp_path: Path) -> None:
    path = str(tmp_path / "out.jsonl")
    sink = JsonLines(path)
    with pytest.raises(EdgeirfError, match="another run writes to"):
        JsonLines(path)
    sink.close()
    JsonLines(path).close()


def test_a_line_that_does_not_fit_on_the_disk_is_taken_back(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "out.jsonl"
    sink = JsonLines(str(path))
    sink.write(record(Frame(IMAGE, 0, "s"), verdict(0)))
    size, limits = path.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limits[1]))
        with pytest.raises(EdgeirfError, match="cannot write"):
            sink.write(record(Frame(IMAGE, 1, "s"), verdict(1)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert path.stat().st_size == size
    sink.close()


def test_pictures_of_an_earlier_run_are_never_overwritten(tmp_path: Path) -> None:
    for shade in (10, 20, 30):
        sink = RejectSaver(str(tmp_path))
        sink.write(record(Frame(np.full((40, 50, 3), shade, np.uint8), 3, "part.png"), verdict(3)))
        sink.close()
    saved = sorted(tmp_path.glob("*.png"), key=lambda path: len(path.name))
    assert sorted(int(cv2.imread(str(path))[0, 0, 0]) for path in saved) == [10, 20, 30]
    assert len(list(tmp_path.glob("*_overlay.jpg"))) == 3
