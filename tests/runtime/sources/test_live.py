"""Cameras: the newest frame wins, drops are counted, a camera that is gone is noticed."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import perf_counter

import cv2
import numpy as np
import pytest

from edgeirf.errors import FrameError, SourceError, UsageError
from edgeirf.runtime.sources import open_source
from edgeirf.runtime.sources.capture import FAILURES, CaptureCamera
from edgeirf.runtime.sources.frame import Read
from edgeirf.runtime.sources.live import QUEUE, LiveSource


class FakeCamera:
    """Gives a frame each time the test lets it; the frame's pixels are its number.

    ``script`` holds True for a frame and False for a failed read; after it, reads fail or, with ``hang``, block.
    """

    def __init__(self, script: list[bool], hang: bool = False) -> None:
        self.script, self.hang = script, hang
        self.read = 0
        self.released = False
        self.finish = threading.Event()

    def grab(self) -> bool:
        self.read += 1
        if self.read <= len(self.script):
            return self.script[self.read - 1]
        if self.hang:
            self.finish.wait(5.0)
        return False

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.full((2, 2, 3), self.read - 1, np.uint8)

    def release(self) -> None:
        self.released = True


def wait_for(condition) -> None:
    deadline = perf_counter() + 5
    while not condition():
        assert perf_counter() < deadline
        time.sleep(0.001)


def test_a_slow_reader_gets_the_newest_frames_and_a_count_of_the_others() -> None:
    camera = FakeCamera([True] * 30, hang=True)
    source = LiveSource("0", CaptureCamera("0", camera), timeout=5)
    wait_for(lambda: camera.read == 31)
    frames = iter(source)
    taken = [next(frames) for _ in range(QUEUE)]
    assert [frame.frame_id for frame in taken] == list(range(30 - QUEUE, 30))
    assert [int(frame.image[0, 0, 0]) for frame in taken] == [frame.frame_id for frame in taken]
    assert source.dropped == 30 - QUEUE
    assert all(abs(frame.captured_at - time.time()) < 60 and frame.source == "0" for frame in taken)
    camera.finish.set()
    source.close()
    assert camera.released


def test_frames_that_the_camera_lost_are_counted_and_leave_a_gap() -> None:
    class Numbering(CaptureCamera):
        numbers = iter([7, 10])

        def read(self, timeout: float) -> Read:
            found = super().read(timeout)
            return found if found.frame is None else Read("frame", replace(found.frame, sequence=next(self.numbers)))

    camera = FakeCamera([True] * 2, hang=True)
    source = LiveSource("0", Numbering("0", camera), timeout=5)
    frames = iter(source)
    assert [next(frames).frame_id for _ in range(2)] == [0, 3]
    assert source.dropped == 2
    camera.finish.set()
    source.close()


def test_failed_reads_are_errors_once_the_camera_goes_on() -> None:
    camera = FakeCamera([True, False, True], hang=True)
    source = LiveSource("0", CaptureCamera("0", camera), timeout=5)
    frames = iter(source)
    wait_for(lambda: camera.read == 4)
    assert source.dropped == 1
    assert [next(frames).error for _ in range(2)] == ["0: the camera gave no frame", None]
    camera.finish.set()
    source.close()


@pytest.mark.parametrize("good", [0, 1, 2])
def test_a_camera_that_is_gone_is_a_state_and_no_parts(good: int) -> None:
    camera = FakeCamera([True] * good)
    source = LiveSource("0", CaptureCamera("0", camera), timeout=5)
    wait_for(lambda: camera.read == good + FAILURES)
    frames = []
    with pytest.raises(SourceError, match="no more frames"):
        frames.extend(source)
    assert [frame.frame_id for frame in frames] == list(range(good))
    assert all(frame.error is None for frame in frames)
    source.close()


def test_a_frame_that_came_and_cannot_be_decoded_is_a_part_at_once() -> None:
    class Damaged(FakeCamera):
        def retrieve(self) -> tuple[bool, np.ndarray]:
            raise FrameError("is cut short")

    source = LiveSource("0", CaptureCamera("0", camera := Damaged([True], hang=True)), timeout=5)
    assert next(iter(source)).error == "0: the frame is cut short"
    camera.finish.set()
    source.close()


def test_a_stream_that_changes_its_size_is_an_error_by_name() -> None:
    class Zooming(FakeCamera):
        def retrieve(self) -> tuple[bool, np.ndarray]:
            return True, np.zeros((2 * self.read, 4, 3), np.uint8)

    source = LiveSource("0", CaptureCamera("0", camera := Zooming([True, True], hang=True)), timeout=5)
    frames = iter(source)
    assert next(frames).error is None
    assert "0: changed its frames from 4x2 to 4x4" in next(frames).error
    camera.finish.set()
    source.close()


def test_a_camera_whose_library_fails_is_said_at_once() -> None:
    class Broken(FakeCamera):
        def retrieve(self) -> tuple[bool, np.ndarray]:
            raise cv2.error("bad\nbuffer")

    source = LiveSource("0", CaptureCamera("0", Broken([True])), timeout=60)
    with pytest.raises(SourceError, match="0 failed: error: bad buffer"):
        list(source)
    source.close()


def test_a_silent_camera_ends_with_an_error() -> None:
    camera = FakeCamera([], hang=True)
    source = LiveSource("rtsp://x", CaptureCamera("rtsp://x", camera), timeout=0.2)
    with pytest.raises(SourceError, match=r"given no frame for 0\.2 s"):
        list(source)
    camera.finish.set()
    source.close()


def test_stop_ends_a_reader_that_waits() -> None:
    camera = FakeCamera([], hang=True)
    source = LiveSource("0", CaptureCamera("0", camera), timeout=60)
    threading.Timer(0.05, source.stop).start()
    assert list(source) == []
    camera.finish.set()
    source.close()


class FakeCapture(FakeCamera):
    """A ``cv2.VideoCapture`` of a camera that takes 640x480 and 1920x1080 only."""

    def __init__(self, *arguments: object) -> None:
        super().__init__([True] * 3, hang=True)
        self.calls: list[tuple[int, float]] = []
        self.size = (640, 480)
        self.opened = arguments

    def isOpened(self) -> bool:
        return True

    def set(self, key: int, value: float) -> bool:
        self.calls.append((key, value))
        wanted = dict(self.calls)
        size = (wanted.get(cv2.CAP_PROP_FRAME_WIDTH), wanted.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.size = size if size in ((640, 480), (1920, 1080)) else (640, 480)
        return True

    def get(self, key: int) -> float:
        return self.size[0 if key == cv2.CAP_PROP_FRAME_WIDTH else 1]


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("3?width=1920&height=1080&format=MJPG&fps=30", 3),
        ("v4l2:///dev/video3?height=1080&width=1920&fps=30&format=MJPG", "/dev/video3"),
        ("v4l2://3?format=MJPG&width=1920&fps=30&height=1080", 3),
    ],
)
def test_camera_settings_are_applied_with_the_pixel_format_first(
    monkeypatch: pytest.MonkeyPatch, text: str, opened: int | str
) -> None:
    made: list[FakeCapture] = []
    monkeypatch.setattr(cv2, "VideoCapture", lambda *a: made.append(FakeCapture(*a)) or made[-1])
    source = open_source(text)
    assert made[0].opened == (opened, cv2.CAP_V4L2)
    assert made[0].calls[0] == (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    assert dict(made[0].calls)[cv2.CAP_PROP_FPS] == 30
    assert next(iter(source)).source == text
    made[0].finish.set()
    source.close()


def test_settings_are_read_back_and_differences_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(FakeCapture):
        def get(self, key: int) -> float:
            has = {cv2.CAP_PROP_FPS: 25.0, cv2.CAP_PROP_GAIN: 7.0, cv2.CAP_PROP_EXPOSURE: -1.0}
            return has[key] if key in has else YUYV if key == cv2.CAP_PROP_FOURCC else super().get(key)

        def set(self, key: int, value: float) -> bool:
            return super().set(key, value) and key != cv2.CAP_PROP_EXPOSURE

    made: list[Stubborn] = []
    monkeypatch.setattr(cv2, "VideoCapture", lambda *a: made.append(Stubborn(*a)) or made[-1])
    source = open_source("0?width=640&fps=30&exposure=100&gain=7&format=MJPG")
    assert caplog.messages == [
        f"camera {source.name}: {line}"
        for line in (
            "format=MJPG was asked for, the camera gives YUYV",
            "fps=30 was asked for, the camera says 25",
            "exposure=100 was asked for, the camera does not take it",
        )
    ]
    made[0].finish.set()
    source.close()


YUYV = cv2.VideoWriter.fourcc(*"YUYV")


def test_a_camera_that_takes_another_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FakeCapture] = []
    monkeypatch.setattr(cv2, "VideoCapture", lambda *a: made.append(FakeCapture(*a)) or made[-1])
    with pytest.raises(SourceError, match="only 640x480"):
        open_source("0?width=800&height=600")
    assert made[0].released


class RawCamera(FakeCapture):
    """Gives Bayer bytes as OpenCV does, one long row, once it is told to leave them alone."""

    fourcc = cv2.VideoWriter.fourcc(*"GBRG")

    def get(self, key: int) -> float:
        return self.fourcc if key == cv2.CAP_PROP_FOURCC else super().get(key)

    def retrieve(self) -> tuple[bool, np.ndarray]:
        assert dict(self.calls)[cv2.CAP_PROP_CONVERT_RGB] == 0
        width, height = self.size
        return True, np.arange(width * height - (self.read == 2), dtype=np.uint64).astype(np.uint8)[None]


def test_raw_frames_get_their_shape_back(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[RawCamera] = []
    monkeypatch.setattr(cv2, "VideoCapture", lambda *a: made.append(RawCamera(*a)) or made[-1])
    source = open_source("0?width=1920&height=1080", pixel_format="bayer_gbrg8")
    assert source.size == (1080, 1920)
    assert [key for key, _ in made[0].calls[:2]] == [cv2.CAP_PROP_CONVERT_RGB, cv2.CAP_PROP_FOURCC]
    frames = iter(source)
    wait_for(lambda: made[0].read == 4)
    assert source.waiting
    first, second = next(frames), next(frames)
    assert first.error == f"{source.name}: the camera gave no frame"  # the second of three: a byte is missing
    assert (second.pixel_format, second.image.shape) == ("bayer_gbrg8", (1080, 1920))
    assert second.image[1, 0] == 1920 % 256
    assert not source.waiting
    made[0].finish.set()
    source.close()


@pytest.mark.parametrize(
    ("text", "pixel_format", "message"),
    [
        ("0", "rgb8", "comes in as rgb8: OpenCV makes BGR of it"),
        ("parts", "bgr16", "needs no --pixel-format"),
        ("test://?seed=1", "bayer_rggb8", "test://... comes in as BGR, not as bayer_rggb8"),
        ("rtsp://camera", "nv12", "leave --pixel-format away"),
        ("0?format=YUYV", "nv12", "leave format= away"),
    ],
)
def test_formats_that_a_source_does_not_give(text: str, pixel_format: str, message: str) -> None:
    """Taking OpenCV's BGR for RGB would swap red and blue, and be scored all the same."""
    with pytest.raises(UsageError) as raised:
        open_source(text, pixel_format=pixel_format)
    assert message in str(raised.value)


def test_a_camera_that_gives_other_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[RawCamera] = []
    monkeypatch.setattr(cv2, "VideoCapture", lambda *a: made.append(RawCamera(*a)) or made[-1])
    with pytest.raises(SourceError, match="does not give NV12 frames"):
        open_source("0", pixel_format="nv12")
    assert made[0].released


def test_gstreamer_is_asked_for_only_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda backend: False)
    with pytest.raises(SourceError, match="has no GStreamer"):
        open_source("gst:videotestsrc")
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda backend: True)
    made: list[FakeCapture] = []
    monkeypatch.setattr(cv2, "VideoCapture", lambda *a: made.append(FakeCapture(*a)) or made[-1])
    for text in ("gst:videotestsrc", "gst:videotestsrc ! appsink name=mine"):
        source = open_source(text)
        made[-1].finish.set()
        source.close()
    assert str(made[0].opened[0]).startswith("videotestsrc ! videoconvert !")
    assert made[1].opened == ("videotestsrc ! appsink name=mine", cv2.CAP_GSTREAMER)
    for pixel_format, tail in (
        ("nv12", "videotestsrc ! videoconvert ! video/x-raw,format=NV12 ! appsink"),
        ("bayer_gbrg8", "videotestsrc ! video/x-bayer,format=gbrg ! appsink"),
    ):
        source = open_source("gst:videotestsrc", pixel_format=pixel_format)
        assert str(made[-1].opened[0]).startswith(tail)
        assert next(iter(source)).pixel_format == pixel_format
        made[-1].finish.set()
        source.close()


class MotionJpeg(BaseHTTPRequestHandler):
    """Ten JPEGs as a camera on the network sends them, then the end; the last two are larger."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(10):
            data = cv2.imencode(".jpg", np.full((96, 128, 3) if number > 7 else (48, 64, 3), 20 * number, np.uint8))[
                1
            ].tobytes()
            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
            self.wfile.write(b"\r\n")
            time.sleep(0.02)

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_real_stream_over_the_network_comes_in_and_its_end_is_noticed() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), MotionJpeg) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = open_source(f"http://127.0.0.1:{server.server_address[1]}/stream.mjpg", timeout=5)
        frames = []
        with pytest.raises(SourceError, match="no more frames"):
            frames.extend(source)
        source.close()
        server.shutdown()
    good = [frame for frame in frames if not frame.error]
    assert all("changed its frames from 64x48 to 128x96" in frame.error for frame in frames if frame.error)
    assert frames[-1].frame_id == 9
    assert frames[-1].error
    assert good
    assert all(frame.image.shape[:2] == (48, 64) for frame in good)
    assert all(a.frame_id < b.frame_id and a.clock <= b.clock for a, b in itertools.pairwise(frames))
