"""The loop: every frame gets its verdict, whatever happens, and every sink finishes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edgeirf.errors import BackendError, EdgeirfError, FrameError, SourceError, UsageError
from edgeirf.runtime.line.pipeline import run_pipeline
from edgeirf.runtime.line.stats import WINDOW, Stats
from edgeirf.runtime.sources.frame import Frame
from edgeirf.verdict import Verdict

IMAGE = np.zeros((4, 4, 3), np.uint8)


class FakeSource:
    """Yields what it is given; an exception is raised where it stands."""

    name, total, dropped, size = "fake", None, 0, None

    def __init__(self, *events: Frame | Exception, waiting: bool = False) -> None:
        self.events = events
        self.waiting = waiting
        self.stopped = self.closed = False
        self.given = 0

    def __iter__(self) -> Iterator[Frame]:
        for event in self.events:
            if self.stopped:
                return
            if isinstance(event, Exception):
                raise event
            self.given += 1
            yield event

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        self.closed = True


class FakeDetector:
    """Rejects frames with odd numbers; raises the errors given for some numbers, BackendErrors with the result."""

    def __init__(self, errors: dict[int, Exception] | None = None, depth: int = 1) -> None:
        self.errors = errors or {}
        self.depth = depth
        self.in_flight: list[dict[str, object]] = []
        self.calls: list[str] = []

    def submit(self, image: np.ndarray, *, pixel_format: str | None, **about: object) -> None:
        assert len(self.in_flight) < self.depth
        self.calls.append(f"submit {about['frame_id']}")
        error = self.errors.get(about["frame_id"])
        if error is not None and not isinstance(error, BackendError):
            raise error
        self.in_flight.append(about)

    def result(self) -> Verdict:
        about = self.in_flight.pop(0)
        number = about["frame_id"]
        self.calls.append(f"result {number}")
        if number in self.errors:
            raise self.errors[number]
        return Verdict(number % 2 == 1, 1.0, 0.5, 2.0, latency_ms={"network": 1.0, "total": 1.0}, **about)

    def failed(self, error: str, **about: object) -> Verdict:
        return Verdict(True, None, None, 2.0, status="error", error=error, **about)


class Collector:
    def __init__(self, broken_at: int | None = None, broken_close: bool = False) -> None:
        self.verdicts: list[Verdict] = []
        self.broken_at, self.broken_close = broken_at, broken_close
        self.closed = False

    def write(self, frame: Frame, verdict: Verdict) -> None:
        if frame.frame_id == self.broken_at:
            raise EdgeirfError("the disk is full")
        self.verdicts.append(verdict)

    def close(self) -> None:
        self.closed = True
        if self.broken_close:
            raise EdgeirfError("the last one was lost")


def frames(count: int) -> list[Frame]:
    return [Frame(IMAGE, number, "fake", 100.0 + number) for number in range(count)]


def test_every_frame_gets_a_verdict_in_order() -> None:
    source, sink, stats = FakeSource(*frames(5)), Collector(), Stats()
    assert run_pipeline(source, FakeDetector(), [sink], stats) is None
    assert [verdict.frame_id for verdict in sink.verdicts] == [0, 1, 2, 3, 4]
    assert [verdict.captured_at for verdict in sink.verdicts] == [100, 101, 102, 103, 104]
    assert (stats.frames, stats.rejects, stats.errors) == (5, 2, 0)
    assert sink.closed
    assert source.closed


def test_camera_to_verdict_counts_from_capture() -> None:
    frame = Frame(IMAGE, 0, "fake", None)
    late, sink = Frame(IMAGE, 0, "fake", None, clock=frame.clock - 0.5), Collector()
    run_pipeline(FakeSource(late), FakeDetector(), [sink], Stats())
    latencies = sink.verdicts[0].latency_ms
    assert list(latencies) == ["network", "total", "camera_to_verdict"]
    assert 500 <= latencies["camera_to_verdict"] < 5000


@pytest.mark.parametrize(
    ("waiting", "depth", "calls"),
    [
        (True, 2, "s0 s1 r0 s2 r1 s3 r2 r3"),  # the next upload overlaps the computing
        (False, 2, "s0 r0 s1 r1 s2 r2 s3 r3"),  # no verdict waits for the part after it
        (True, 1, "s0 r0 s1 r1 s2 r2 s3 r3"),
    ],
)
def test_frames_overlap_only_where_the_next_one_is_there(waiting: bool, depth: int, calls: str) -> None:
    detector, sink = FakeDetector(depth=depth), Collector()
    run_pipeline(FakeSource(*frames(4), waiting=waiting), detector, [sink], Stats())
    assert " ".join(call[0] + call.split()[1] for call in detector.calls) == calls
    assert [verdict.frame_id for verdict in sink.verdicts] == [0, 1, 2, 3]


def test_failed_frames_keep_their_turn() -> None:
    """Also while others are in flight; and a camera that is gone leaves no part without a verdict."""
    events = [*frames(2), Frame(None, 2, "fake", error="torn"), *frames(6)[3:], SourceError("gone")]
    detector, sink, stats = FakeDetector({3: FrameError("small")}, depth=2), Collector(), Stats()
    problem = run_pipeline(FakeSource(*events, waiting=True), detector, [sink], stats)
    assert str(problem) == "gone"
    assert [(v.frame_id, v.error) for v in sink.verdicts] == [
        (0, None), (1, None), (2, "torn"), (3, "small"), (4, None), (5, None)
    ]  # fmt: skip
    assert stats.errors == 2


@pytest.mark.parametrize("depth", [1, 2])
def test_when_the_back_end_fails_every_part_that_was_taken_is_rejected(depth: int) -> None:
    source = FakeSource(*frames(6), waiting=True)
    sink, stats = Collector(), Stats()
    problem = run_pipeline(source, FakeDetector({2: BackendError("GPU lost")}, depth), [sink], stats)
    assert str(problem) == "GPU lost"
    assert [verdict.frame_id for verdict in sink.verdicts] == list(range(source.given))
    assert [(v.reject, v.error) for v in sink.verdicts[2:]] == [(True, "GPU lost")] * depth
    assert source.closed


def test_a_frame_that_fails_is_a_reject_and_the_rest_goes_on() -> None:
    unread = Frame(None, 1, "fake", error="1.png is cut short")
    source = FakeSource(Frame(IMAGE, 0, "fake"), unread, Frame(IMAGE, 2, "fake"), Frame(IMAGE, 4, "fake"))
    sink, stats = Collector(), Stats()
    assert run_pipeline(source, FakeDetector({2: FrameError("too small")}), [sink], stats) is None
    assert [(v.reject, v.status, v.error) for v in sink.verdicts] == [
        (False, "ok", None),
        (True, "error", "1.png is cut short"),
        (True, "error", "too small"),
        (False, "ok", None),
    ]
    assert (stats.frames, stats.rejects, stats.errors) == (4, 2, 2)


def test_a_frame_that_the_detector_does_not_expect_costs_no_other_its_verdict() -> None:
    source, sink = FakeSource(*frames(6), waiting=True), Collector()
    problem = run_pipeline(source, FakeDetector({3: UsageError("odd")}, depth=2), [sink], Stats())
    assert str(problem) == "odd"
    assert [(v.frame_id, v.status) for v in sink.verdicts] == [(0, "ok"), (1, "ok"), (2, "error"), (3, "error")]


def test_a_sink_that_fails_costs_the_others_nothing() -> None:
    source, stats = FakeSource(*frames(6), waiting=True), Stats()
    first, broken, last = Collector(), Collector(broken_at=2), Collector()
    problem = run_pipeline(source, FakeDetector(depth=2), [first, broken, last], stats)
    assert str(problem) == "the disk is full"
    assert len(broken.verdicts) == 2
    for sink in (first, last):
        assert [(v.frame_id, v.error) for v in sink.verdicts] == [
            (0, None), (1, None), (2, None), (3, "the disk is full")
        ]  # fmt: skip
    assert stats.frames == source.given == 4


@pytest.mark.parametrize(
    ("source", "detector", "sink", "message", "kept"),
    [
        (FakeSource(*frames(3), SourceError("gone")), FakeDetector(), Collector(), "gone", 3),
        (FakeSource(*frames(5)), FakeDetector({2: BackendError("no memory")}), Collector(), "no memory", 3),
        (FakeSource(*frames(5)), FakeDetector(), Collector(broken_at=3), "disk is full", 3),
        (FakeSource(*frames(5)), FakeDetector(), Collector(broken_close=True), "was lost", 5),
        (FakeSource(*frames(2), SourceError("gone")), FakeDetector(), Collector(broken_close=True), "gone", 2),
    ],
    ids=["source", "back end", "sink", "sink at the end", "source, then sink"],
)
def test_what_ends_a_run_early_is_returned_when_everything_is_closed(
    source: FakeSource, detector: FakeDetector, sink: Collector, message: str, kept: int
) -> None:
    other, last = Collector(), Collector()
    problem = run_pipeline(source, detector, [other, sink, last], Stats())
    assert message in str(problem)
    assert len(sink.verdicts) == kept
    assert other.closed
    assert sink.closed
    assert last.closed
    assert source.closed


def test_a_bug_is_not_hidden_but_the_sinks_finish() -> None:
    source, sink = FakeSource(*frames(5)), Collector()
    with pytest.raises(ZeroDivisionError):
        run_pipeline(source, FakeDetector({2: ZeroDivisionError()}), [sink], Stats())
    assert sink.closed
    assert source.closed


def test_the_number_of_frames_is_kept_to_and_none_is_read_beyond() -> None:
    source, stats = FakeSource(*frames(5)), Stats()
    run_pipeline(source, FakeDetector(), [], stats, max_frames=3)
    assert stats.frames == source.given == 3


def verdict(latency: float, reject: bool = False) -> Verdict:
    return Verdict(reject, 1.0, 0.5, 2.0, latency_ms={"camera_to_verdict": latency})


def test_statistics_are_those_of_the_newest_frames() -> None:
    stats = Stats()
    assert stats.line(0, 0.0) == "0 frames · 0.0/s · 0 rejected"
    for value in range(WINDOW * 2):
        stats.add(verdict(float(value)))
    assert stats.frames == 2 * WINDOW
    assert stats.latency(0, 50, 100) == [WINDOW, 1.5 * WINDOW - 0.5, 2 * WINDOW - 1]
    assert stats.rate > 0 < stats.mean_rate


def test_the_line_says_what_there_is_to_say() -> None:
    stats = Stats()
    stats.add(verdict(10.0, reject=True))
    assert stats.line(0, 2.0, 40) == "1/40 frames · 2.0/s · 1 rejected · p50 10.0 ms, p99 10.0 ms"
    stats.add(FakeDetector().failed("no"))
    assert stats.line(3, 2.0) == "2 frames · 2.0/s · 2 rejected · 1 failed · 3 dropped · p50 10.0 ms, p99 10.0 ms"
