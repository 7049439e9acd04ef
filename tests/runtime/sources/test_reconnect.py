"""A camera that is gone is a state; it comes back, or the source gives up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.sources.frame import Frame, Read
from edgeirf.runtime.sources.live import LiveSource
from edgeirf.runtime.sources.reconnect import Reconnect, SourceEvent

SOON = Reconnect(first=0.01, longest=0.02)


class Fake:
    """Gives frames with these numbers, then does ``then``: ``error``, ``hang`` (until closed) or ``wait``."""

    size = (2, 2)

    def __init__(self, numbers: list[int], then: str = "wait", triggered: bool = False) -> None:
        self.numbers, self.then, self.awaits_trigger = list(numbers), then, triggered
        self.closed = threading.Event()
        self.let_go = threading.Event()

    def read(self, timeout: float) -> Read:
        if self.numbers:
            image = np.zeros((2, 2), np.uint8)
            return Read("frame", Frame(image, None, "fake", captured_monotonic=1.0, sequence=self.numbers.pop(0)))
        if self.then == "error":
            return Read("error", detail="the cable is out")
        if self.then == "hang":
            self.let_go.wait(30)
            return Read("frame", Frame(np.ones((2, 2), np.uint8), None, "too late"))
        time.sleep(0.005)
        return Read("timeout")

    def close(self) -> None:
        self.closed.set()


def until(source: LiveSource, wanted: Callable[[Read], bool], limit: float = 20) -> Read:
    deadline = time.monotonic() + limit
    while not wanted(read := source.read(0.05)):
        assert time.monotonic() < deadline
    return read


def opener(*outcomes: Fake | SourceError) -> Callable[[], Fake]:
    left = list(outcomes)

    def reopen() -> Fake:
        outcome = left.pop(0)
        if isinstance(outcome, SourceError):
            raise outcome
        return outcome

    return reopen


@pytest.mark.parametrize("then", ["error", "hang"])
def test_a_camera_that_is_gone_and_back_gives_events_and_no_parts(then: str) -> None:
    first, second, events, plugged = Fake([7], then), Fake([0, 1], triggered=True), [], threading.Event()

    def reopen() -> Fake:
        if not plugged.is_set():
            raise SourceError("not there")
        return second

    source = LiveSource("cam", first, 0.2, reopen=reopen, reconnect=SOON, on_event=events.append)
    assert until(source, lambda read: read.frame is not None).frame.frame_id == 0
    assert until(source, lambda read: read.state == "timeout" and source.away == "not there").detail
    plugged.set()
    frames = [until(source, lambda read: read.frame is not None).frame for _ in range(2)]
    assert [frame.frame_id for frame in frames] == [1, 2]
    assert all(frame.error is None for frame in frames)
    first.let_go.set()
    assert first.closed.wait(10)  # the session that was left closes its camera, and its late frame is nobody's
    assert source.read(0.1).frame is None
    source.close()
    assert second.closed.is_set()
    assert [event.state for event in events] == ["lost", "back"]
    assert ("the cable is out" if then == "error" else "no frame for 0.2 s") in events[0].detail


def test_a_source_gives_up_after_its_limit() -> None:
    def never() -> Fake:
        raise SourceError("cam is not there")

    events: list[SourceEvent] = []
    source = LiveSource(
        "cam", Fake([], "error"), 1, reopen=never, reconnect=Reconnect(0.01, 0.01, 0.1), on_event=events.append
    )
    with pytest.raises(SourceError, match="cam is not there; gave up after"):
        list(source)
    assert [event.state for event in events] == ["lost", "gave_up"]
    source.close()


def test_silence_of_a_triggered_camera_is_normal() -> None:
    source = LiveSource("cam", Fake([], triggered=True), 0.05)
    time.sleep(0.3)
    assert source.read(0.01).state == "timeout"
    source.close()
    assert source.read(0.01).state == "end"


def test_gaps_in_the_cameras_numbers_are_lost_frames() -> None:
    camera = Fake([65534, 65535, 65539])
    source = LiveSource("cam", camera, 5)
    seen: list[Frame] = []
    source.watch(seen.append)
    last = until(source, lambda read: read.frame is not None and read.frame.sequence == 65539).frame
    assert last.frame_id == 5
    assert last.dropped == source.dropped >= 3
    source.close()


def test_a_listener_that_fails_ends_the_source_with_its_error() -> None:
    def listener(event: SourceEvent) -> None:
        raise RuntimeError("listener")

    source = LiveSource("cam", Fake([], "error"), 1, reopen=opener(), reconnect=SOON, on_event=listener)
    with pytest.raises(SourceError, match="RuntimeError: listener"):
        list(source)
    source.close()


def test_a_camera_without_software_trigger_says_so() -> None:
    source = LiveSource("cam", Fake([]), 5)
    with pytest.raises(SourceError, match="cam has no software trigger"):
        source.fire()
    source.close()


def test_waits_double_up_to_the_longest() -> None:
    assert list(islice(Reconnect(1, 5).delays(), 5)) == [1, 2, 4, 5, 5]
    for wrong in ({"first": 0.0}, {"first": 3.0, "longest": 2.0}, {"limit": 0.0}):
        with pytest.raises(UsageError):
            Reconnect(**wrong)
