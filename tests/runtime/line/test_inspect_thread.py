"""Frames of several cameras in one detector: together where they wait at the same time, never at a deadline's cost."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from threading import Event

import pytest

from benchmarks.line_fakes import GOOD, FakeDetector
from benchmarks.line_rig import until
from edgeirf.errors import BackendError
from edgeirf.runtime.inspection import Inspection
from edgeirf.runtime.line.inspect_thread import InspectThread, Job
from edgeirf.runtime.sources.frame import Frame

FRAME_S = 0.05


class Batching(FakeDetector):
    """Takes :data:`FRAME_S` for each frame of a batch; remembers how large the batches were.

    Attributes:
        go: no result comes before.
    """

    def __init__(self, depth: int) -> None:
        super().__init__(depth)
        self.go, self.sizes, self._ready = Event(), list[int](), 0

    def result(self) -> Inspection:
        """The first one of a batch takes the time of all."""
        assert self.go.wait(20)
        if not self._ready:
            self.sizes.append(self.in_flight)
            self._ready = self.in_flight
            time.sleep(FRAME_S * self.in_flight)
        self._ready -= 1
        return super().result()


class Line:
    """Jobs in, their numbers out."""

    def __init__(self, depth: int) -> None:
        self.detector, self.other = Batching(depth), FakeDetector()
        self.done, self.lapsed = list[int](), set[int]()
        self.thread = InspectThread(
            "",
            self.detector,
            lambda job: job.ticket not in self.lapsed,
            lambda job, inspection: self.done.append(job.ticket),
            lambda error: self.other,
            pytest.fail,
        )
        self.thread.start()

    def put(self, ticket: int, deadline: float = math.inf) -> None:
        """A frame of a camera waits."""
        self.thread.put(Job(ticket, f"v{ticket}", Frame(GOOD, ticket, "fake"), deadline))

    def all_done(self, *tickets: int) -> None:
        """Waits for them."""
        self.detector.go.set()
        until(lambda: len(self.done) == len(tickets))
        assert self.done == [*tickets]
        until(lambda: self.thread.waiting == 0 and self.thread.busy_s == 0)

    def first_alone(self) -> None:
        """The first frame goes at once; then it is known how long a frame takes."""
        self.put(0)
        until(lambda: self.detector.in_flight == 1)


@pytest.fixture
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    one = Line(request.param)
    yield one
    one.detector.go.set()
    one.thread.stop()
    assert one.thread.join(20)


@pytest.mark.parametrize("line", [3], indirect=True)
def test_frames_that_wait_at_the_same_time_go_together_and_no_frame_waits_for_others(line: Line) -> None:
    line.first_alone()
    for ticket in range(1, 6):
        line.put(ticket, time.monotonic() + 60)
    line.all_done(0, 1, 2, 3, 4, 5)
    assert line.detector.sizes == [1, 3, 2]


@pytest.mark.parametrize("line", [4], indirect=True)
def test_a_frame_whose_deadline_does_not_allow_it_takes_no_others_with_it(line: Line) -> None:
    line.first_alone()
    line.detector.go.set()
    until(lambda: line.done == [0])
    line.detector.go.clear()
    line.put(1)
    until(lambda: line.detector.in_flight == 1)
    line.put(2, time.monotonic() + 1.5 * FRAME_S)  # time for itself alone, if it went at once
    line.put(3, time.monotonic() + 60)
    line.put(4, time.monotonic() + 60)
    line.all_done(0, 1, 2, 3, 4)
    assert line.detector.sizes == [1, 1, 1, 2]


@pytest.mark.parametrize("line", [2], indirect=True)
def test_a_part_that_is_decided_is_not_inspected(line: Line) -> None:
    line.first_alone()
    line.put(1)
    line.put(2)
    line.lapsed.add(1)
    line.all_done(0, 2)
    assert line.detector.sizes == [1, 1]


@pytest.mark.parametrize("line", [2], indirect=True)
def test_a_detector_that_takes_over_and_has_nothing_to_do_does_not_look_like_one_that_hangs(line: Line) -> None:
    line.first_alone()
    line.detector.fault = BackendError("the GPU is lost")
    line.all_done(0)
    until(lambda: line.thread.detector is line.other)
    assert line.thread.busy_s == 0
    line.put(1)
    until(lambda: line.done == [0, 1])
