"""The loop: every frame gets its verdict, whatever happens, and every sink finishes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np
import pytest

from edgeirf.errors import BackendError, EdgeirfError, FrameError, SourceError, UsageError
from edgeirf.runtime.inspection import Inspection
from edgeirf.runtime.line.pipeline import run_pipeline
from edgeirf.runtime.line.stats import WINDOW, Stats
from edgeirf.runtime.sinks import Record, Sink
from edgeirf.runtime.sources.frame import Frame
from edgeirf.settings import Preprocess
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
        self.queue: list[tuple[Frame, str | None]] = []
        self.calls: list[str] = []
        self.anomaly_map: FakeMap | None = None

    @property
    def in_flight(self) -> int:
        return len(self.queue)

    def submit(self, frame: Frame) -> None:
        assert self.in_flight < self.depth
        self.calls.append(f"submit {frame.frame_id}")
        if frame.image is None:
            raise FrameError(frame.error)
        error = self.errors.get(frame.frame_id)
        if error is not None and not isinstance(error, BackendError):
            raise error
        self.queue.append((frame, None))

    def refuse(self, frame: Frame, error: str) -> None:
        self.queue.append((frame, error))

    def result(self) -> Inspection:
        frame, error = self.queue[0]
        number = frame.frame_id
        self.calls.append(f"result {number}")
        if error is None and number in self.errors:
            self.queue[0] = (frame, str(self.errors[number]))
            raise self.errors[number]
        self.queue.pop(0)
        if error is not None:
            return self.failed(error, frame)
        latency = {"total": 1.0, "camera_to_verdict": 2.0}
        verdict = Verdict(
            number % 2 == 1, 1.0, 0.5, 2.0, frame_id=number, captured_at=frame.captured_at, latency_ms=latency
        )
        return Inspection(verdict, frame, Preprocess(size=(32, 32)), (4, 4), self.anomaly_map)

    def give_up(self, error: str) -> list[Inspection]:
        given, self.queue = self.queue, []
        return [self.failed(own or error, frame) for frame, own in given]

    def failed(self, error: str, frame: Frame) -> Inspection:
        verdict = Verdict(True, None, None, 2.0, status="error", error=error, frame_id=frame.frame_id)
        return Inspection(verdict, frame, Preprocess(size=(32, 32)))


class FakeMap:
    """Counts how often it is asked for."""

    def __init__(self, error: EdgeirfError | None = None) -> None:
        self.asked, self.error = 0, error

    def array(self) -> np.ndarray:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return np.ones((4, 4), np.float32)

    def heat(self) -> None:
        return None


class Collector(Sink):
    def __init__(self, broken_at: int | None = None, broken_close: bool = False) -> None:
        self.records: list[Record] = []
        self.broken_at, self.broken_close = broken_at, broken_close
        self.closed = False

    @property
    def verdicts(self) -> list[Verdict]:
        return [record.verdict for record in self.records]

    def write(self, record: Record) -> None:
        if record.verdict.frame_id == self.broken_at:
            raise EdgeirfError("the disk is full")
        self.records.append(record)

    def close(self) -> None:
        self.closed = True
        if self.broken_close:
            raise EdgeirfError("the last one was lost")


class Pictures(Collector):
    """Needs pictures of rejects."""

    needs = frozenset({"frame", "map", "overlay"})

    def wants(self, verdict: Verdict) -> bool:
        return verdict.reject


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


def test_what_sinks_need_is_made_before_it_is_handed_over_and_nothing_else() -> None:
    detector, plain, pictures = FakeDetector(), Collector(), Pictures()
    detector.anomaly_map = FakeMap()
    assert run_pipeline(FakeSource(*frames(4)), detector, [plain, pictures], Stats()) is None
    assert [verdict.frame_id for verdict in pictures.verdicts] == [1, 3]
    assert detector.anomaly_map.asked == 4  # the map and the overlay of two rejects
    for record in pictures.records:
        assert record.frame is not None
        assert record.map is not None
        assert record.overlay is not None
        assert pickle.loads(pickle.dumps(record)).verdict == record.verdict
    assert [record.map is None for record in plain.records] == [True, False, True, False]
    alone = Collector()
    run_pipeline(FakeSource(*frames(2)), detector, [alone], Stats())
    assert [(record.frame, record.map, record.overlay) for record in alone.records] == [(None, None, None)] * 2
    assert detector.anomaly_map.asked == 4


def test_a_map_that_cannot_be_made_costs_no_verdict() -> None:
    detector, plain, pictures = FakeDetector(), Collector(), Pictures()
    detector.anomaly_map = FakeMap(BackendError("GPU lost"))
    problem = run_pipeline(FakeSource(*frames(4)), detector, [plain, pictures], Stats())
    assert str(problem) == "GPU lost"
    assert [verdict.frame_id for verdict in plain.verdicts] == [0, 1]
    assert [(record.verdict.frame_id, record.map) for record in pictures.records] == [(1, None)]


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
    assert str(problem) == "the disk is full; records not written: 2"
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
    stats.add(FakeDetector().failed("no", Frame(None, 0, "fake")).verdict)
    assert stats.line(3, 2.0) == "2 frames · 2.0/s · 2 rejected · 1 failed · 3 dropped · p50 10.0 ms, p99 10.0 ms"


class Fails(Sink):
    """A sink whose calls raise what they are given."""

    def __init__(self, error: Exception, *, on_close: bool = False) -> None:
        self.error, self.on_close = error, on_close
        self.writes = 0

    def write(self, record: Record) -> None:
        self.writes += 1
        if not self.on_close:
            raise self.error

    def close(self) -> None:
        if self.decoration or self.on_close:
            raise self.error


class FailingDecoration(Fails):
    decoration = True


class Kept(Sink):
    def __init__(self) -> None:
        self.numbers: list[object] = []

    def write(self, record: Record) -> None:
        self.numbers.append(record.verdict.frame_id)


FAILURES = [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left"), ValueError("I/O on closed file")]


@pytest.mark.parametrize("on_close", [False, True])
@pytest.mark.parametrize("error", [*FAILURES, EdgeirfError("no window"), RuntimeError("Qt"), MemoryError()])
def test_a_decoration_that_fails_is_said_once_and_ends_nothing(
    error: Exception, on_close: bool, caplog: pytest.LogCaptureFixture
) -> None:
    failing, kept, stats = FailingDecoration(error, on_close=on_close), Kept(), Stats()
    source = FakeSource(*(Frame(IMAGE, number, "s") for number in range(5)))
    assert run_pipeline(source, FakeDetector(), [failing, kept], stats) is None
    assert kept.numbers == [0, 1, 2, 3, 4]
    assert stats.frames == 5
    assert failing.writes == (5 if on_close else 1)
    assert sum("failed and is left out" in line for line in caplog.messages) == 1


def test_a_record_that_fails_ends_the_run_and_the_lost_ones_are_counted() -> None:
    source = FakeSource(*(Frame(IMAGE, number, "s") for number in range(5)))
    problem = run_pipeline(source, FakeDetector(), [Fails(EdgeirfError("disk is full"))], Stats())
    assert str(problem) == "disk is full; records not written: 1"


def test_a_frame_without_memory_is_refused_and_the_folder_goes_on() -> None:
    kept, stats = Kept(), Stats()
    source = FakeSource(*(Frame(IMAGE, number, "s") for number in range(4)))
    assert run_pipeline(source, FakeDetector({1: MemoryError()}), [kept], stats) is None
    assert kept.numbers == [0, 1, 2, 3]
    assert stats.errors == 1
