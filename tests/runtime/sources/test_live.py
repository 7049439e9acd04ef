"""Cameras: the newest frame wins, drops are counted, a camera that is gone is noticed."""

from __future__ import annotations

import threading
import time
from time import perf_counter

import numpy as np
import pytest

from edgeirf.errors import SourceError
from edgeirf.runtime.sources.live import FAILURES, QUEUE, LiveSource


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
    source = LiveSource("0", camera, timeout=5)
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


def test_a_failed_read_is_a_frame_with_an_error_and_the_rest_goes_on() -> None:
    camera = FakeCamera([True, False], hang=True)
    source = LiveSource("0", camera, timeout=5)
    frames = iter(source)
    assert [next(frames).error for _ in range(2)] == [None, "0: the camera gave no frame"]
    camera.finish.set()
    source.close()


def test_a_camera_that_is_gone_ends_with_an_error() -> None:
    source = LiveSource("0", FakeCamera([True]), timeout=5)
    frames = []
    with pytest.raises(SourceError, match="no more frames"):
        frames.extend(source)
    assert frames[-1].frame_id == FAILURES
    source.close()


def test_a_silent_camera_ends_with_an_error() -> None:
    camera = FakeCamera([], hang=True)
    source = LiveSource("rtsp://x", camera, timeout=0.2)
    with pytest.raises(SourceError, match=r"given no frame for 0\.2 s"):
        list(source)
    camera.finish.set()
    source.close()


def test_stop_ends_a_reader_that_waits() -> None:
    camera = FakeCamera([], hang=True)
    source = LiveSource("0", camera, timeout=60)
    threading.Timer(0.05, source.stop).start()
    assert list(source) == []
    camera.finish.set()
    source.close()
