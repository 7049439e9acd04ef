"""GenICam cameras, on Aravis' fake GigE camera: a peer that nobody here wrote."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.sources import Read, Reconnect, SourceEvent, aravis, open_source
from edgeirf.runtime.sources.genicam import unwrapped
from edgeirf.runtime.sources.live import LiveSource

PEER = shutil.which("arv-fake-gv-camera-0.8")
URI = "genicam://127.0.0.1"


@contextmanager
def peer(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The camera; its port is fixed, so only one test at a time has it."""
    if PEER is None:
        pytest.skip("aravis-tools is not installed")
    with open(Path(tempfile.gettempdir()) / "edgeirf-gige.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen([PEER, "-i", "127.0.0.1", "-s", "GV09", *arguments], stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.3)
            if process.poll() is not None:
                pytest.skip("the fake camera does not start here: its port 3956 is taken")
            yield process
        finally:
            process.kill()
            process.wait()


def opened(text: str, **options: object) -> LiveSource:
    for _ in range(20):  # the camera's program may need longer to start
        try:
            source = open_source(text, **options)
            break
        except SourceError as error:
            last = error
            time.sleep(0.2)
    else:
        raise last
    assert isinstance(source, LiveSource)
    return source


def until(source: LiveSource, wanted: Callable[[Read], bool]) -> Read:
    deadline = time.monotonic() + 30
    while not wanted(read := source.read(0.2)):
        assert time.monotonic() < deadline
    return read


def test_each_software_trigger_gives_one_frame_and_settings_are_read_back(caplog: pytest.LogCaptureFixture) -> None:
    with peer():
        source = opened(f"{URI}?exposure=3000&gain=2.2&trigger=Software&pixel_format=Mono8", timeout=0.5)
        assert caplog.messages == [f"camera {source.name}: gain=2.2 was asked for, the camera says 2"]
        assert source.size == (512, 512)
        assert source.read(0.8).state == "timeout"  # silence is longer than the timeout, and normal
        numbers = []
        for _ in range(3):
            before = time.monotonic()
            source.fire()
            frame = source.read(10).frame
            assert frame is not None
            assert before - 1 < frame.captured_monotonic <= time.monotonic()
            assert (frame.image.shape, frame.image.dtype, frame.error) == ((512, 512), np.uint8, None)
            numbers.append(frame.sequence)
        assert numbers == list(range(numbers[0], numbers[0] + 3))
        source.close()


def test_frames_lie_in_the_memory_that_was_given_and_are_not_written_again() -> None:
    given: list[np.ndarray] = []

    def allocate(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        given.append(np.empty(shape, dtype))
        return given[-1]

    with peer():
        source = opened(f"{URI}?trigger=off&fps=100&pixel_format=BayerRG8", allocate=allocate)
        frames = [until(source, lambda read: read.frame is not None).frame for _ in range(20)]
        copies = [frame.image.copy() for frame in frames]
        inside = sum(any(np.shares_memory(frame.image, memory) for memory in given) for frame in frames)
        assert inside >= 6  # the others were copied, so that the camera kept its buffers
        until(source, lambda read: read.frame is not None)
        assert all((frame.image == copy).all() for frame, copy in zip(frames, copies, strict=True))
        assert {frame.pixel_format for frame in frames} == {"bayer_rggb8"}
        source.close()
        assert all((frame.image == copy).all() for frame, copy in zip(frames, copies, strict=True))


def test_a_camera_that_loses_its_power_comes_back() -> None:
    events: list[SourceEvent] = []
    with peer() as process:
        source = opened(
            f"{URI}?trigger=off", timeout=1.0, reconnect=Reconnect(first=0.2, longest=0.5), on_event=events.append
        )
        until(source, lambda read: read.frame is not None)
        process.kill()
        process.wait()
        read = until(source, lambda read: read.state == "timeout" and source.away is not None)
        assert read.detail
        assert [event.state for event in events] == ["lost"]
        again = subprocess.Popen([PEER, "-i", "127.0.0.1", "-s", "GV09"], stderr=subprocess.DEVNULL)
        try:
            frame = until(source, lambda read: read.frame is not None).frame
            assert frame.error is None
            assert [event.state for event in events] == ["lost", "back"]
        finally:
            source.close()
            again.kill()
            again.wait()


def test_frames_with_missing_packets_are_errors() -> None:
    with peer("-r", "50"):  # of a thousand
        source = opened(f"{URI}?trigger=off&fps=50")
        frame = until(source, lambda read: read.frame is not None and read.frame.error is not None).frame
        assert "the frame is damaged" in frame.error
        assert frame.image is None
        source.close()


@pytest.mark.parametrize(
    ("query", "message"),
    [("pixel_format=Foo", "does not take pixel_format=Foo"), ("trigger=Line9", "does not take trigger")],
)
def test_what_the_camera_does_not_take_is_one_line(query: str, message: str) -> None:
    with peer():
        opened(URI).close()
        with pytest.raises(SourceError, match=message):
            open_source(f"{URI}?{query}")


@pytest.mark.parametrize("text", ["genicam://", f"{URI}?exposre=1", "genicam://a b"])
def test_wrong_addresses_are_refused_before_anything_is_opened(text: str) -> None:
    with pytest.raises(UsageError):
        open_source(text)


def test_a_camera_that_is_not_there_is_one_line() -> None:
    if PEER is None:
        pytest.skip("aravis-tools is not installed")
    with pytest.raises(SourceError, match=r"cannot open camera genicam://127\.0\.0\.77: .*check cable") as raised:
        open_source("genicam://127.0.0.77")
    assert "\n" not in str(raised.value)


def test_aravis_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aravis, "_LIBRARIES", ("libaravis-none.so",))
    aravis.load.cache_clear()
    with pytest.raises(SourceError, match=r"sudo apt install libaravis-0\.8-0"):
        open_source(URI)


@pytest.mark.parametrize(
    ("last", "frame_id", "number"),
    [
        (None, 65401, 65401),
        (65534, 65535, 65535),
        (65535, 1, 65536),
        (65535, 3, 65538),
        (65536, 2, 65537),
        (5, 70000, 70000),
    ],
)
def test_numbers_go_on_where_16_bits_begin_again(last: int | None, frame_id: int, number: int) -> None:
    assert unwrapped(last, frame_id) == number
