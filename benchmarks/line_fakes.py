"""A camera, a detector and an output that fail on command: for the benchmarks and the tests of the line."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from queue import Empty, Queue
from threading import Event

import numpy as np

from edgeirf.errors import BackendError, EdgeirfError, FrameError, OutputError, SourceError
from edgeirf.part import Part, PartId, PartVerdict
from edgeirf.runtime.inspection import Inspection
from edgeirf.runtime.outputs.output import Output, State
from edgeirf.runtime.sources.frame import Frame
from edgeirf.settings import Preprocess
from edgeirf.verdict import Verdict

GOOD, BAD = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)


class FakeCamera:
    """Gives the frames that are pushed. Opening it again gives the same object, as a camera that comes back.

    Attributes:
        fault: raised instead of the next frame, once.
        fault_at_end: raised after the last frame.
        away: opening fails.
        opened: how often it was opened.
        allocate: what it was opened with.
    """

    name, total, dropped, waiting, size = "fake", None, 0, False, (8, 8)

    def __init__(self) -> None:
        self._queue: Queue[Frame | None] = Queue()
        self.fault: Exception | None = None
        self.fault_at_end: Exception | None = None
        self.away = False
        self.allocate: object = None
        self.opened = self.number = 0
        self._stopped = Event()

    def open(self, allocate: object = None) -> FakeCamera:
        """For a station."""
        self.allocate = allocate
        if self.away:
            raise SourceError("fake: there is no camera")
        self.opened += 1
        self._stopped.clear()
        return self

    def push(self, image: np.ndarray | None = GOOD, error: str | None = None, taken: float | None = None) -> None:
        """A frame is there."""
        clock = time.perf_counter() if taken is None else taken
        self._queue.put(Frame(image, self.number, "fake", time.time(), error, clock=clock))
        self.number += 1

    def end(self) -> None:
        """No more frames come."""
        self._queue.put(None)

    def __iter__(self) -> Iterator[Frame]:
        while not self._stopped.is_set():
            if self.fault is not None:
                fault, self.fault = self.fault, None
                raise fault
            try:
                frame = self._queue.get(timeout=0.005)
            except Empty:
                continue
            if frame is None and self.fault_at_end is not None:
                raise self.fault_at_end
            if frame is None:
                return
            yield frame

    def stop(self) -> None:
        """Ends the iteration."""
        self._stopped.set()

    def close(self) -> None:
        """Nothing is held."""


class FakeDetector:
    """Rejects white frames.

    Attributes:
        delay_s: time for the next frame, once.
        fault: raised with the next result, once.
        lost: every result fails from now on, as of a GPU that is gone.
        closed: how often it was closed.
    """

    def __init__(self, depth: int = 1) -> None:
        self.depth = depth
        self._queue: deque[tuple[Frame, str | None]] = deque()
        self.delay_s, self.lost, self.closed = 0.0, False, 0
        self.fault: Exception | None = None

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Ordinary memory."""
        return np.zeros(shape, dtype)

    def opened(self) -> FakeDetector:
        """As it is after it was opened anew: nothing is in flight."""
        self._queue.clear()
        return self

    @property
    def in_flight(self) -> int:
        """How many results are due."""
        return len(self._queue)

    def submit(self, frame: Frame) -> None:
        """Takes a frame."""
        if frame.image is None:
            raise FrameError(frame.error or "no image")
        self._queue.append((frame, None))

    def refuse(self, frame: Frame, error: str) -> None:
        """Queues a reject."""
        self._queue.append((frame, error))

    def result(self) -> Inspection:
        """The oldest result."""
        delay, self.delay_s = self.delay_s, 0.0
        if delay:
            time.sleep(delay)
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        if self.lost:
            raise BackendError("the GPU is lost")
        return self._inspection(*self._queue.popleft())

    def give_up(self, error: str) -> list[Inspection]:
        """Rejects what is in flight."""
        taken, self._queue = self._queue, deque()
        return [self._inspection(frame, known or error) for frame, known in taken]

    def close(self) -> None:
        """Counts."""
        self.closed += 1

    def _inspection(self, frame: Frame, error: str | None) -> Inspection:
        latency = {"camera_to_verdict": (time.perf_counter() - frame.clock) * 1e3}
        if error is not None or frame.image is None:
            verdict = Verdict(reject=True, score=None, p_value=None, threshold=1.0, status="error", error=error)
        else:
            score = float(frame.image.mean()) / 100
            verdict = Verdict(
                reject=score > 1, score=score, p_value=0.5, threshold=1.0, frame_id=frame.frame_id, latency_ms=latency
            )
        return Inspection(verdict, frame, Preprocess(size=(32, 32)))


class FakeOutput(Output):
    """Remembers what it is given.

    Attributes:
        expected, verdicts, states, beats: what came, in order.
        safes: how often it was put in its safe state.
        is_safe: nothing was acted on since.
        dead: opening and acting fail.
        slow_s: time for the next call, once.
        fault: raised by the next verdict, once.
    """

    def __init__(self, name: str = "fake", durable: bool = False) -> None:
        super().__init__(name)
        self.durable = durable
        self.expected: list[PartId] = []
        self.verdicts: list[PartVerdict] = []
        self.states: list[tuple[State, str]] = []
        self.beats: list[int] = []
        self.safes, self.is_safe, self.dead, self.slow_s, self.closed = 0, False, False, 0.0, 0
        self.fault: Exception | None = None

    def open(self) -> None:
        """Connects."""
        if self.dead:
            raise OutputError(f"{self.name}: does not answer: check the cable")

    def expect(self, part: Part) -> None:
        """Remembers."""
        self.expected.append(part.part_id)

    def act(self, verdict: PartVerdict) -> None:
        """Remembers."""
        self._trouble()
        self.verdicts.append(verdict)
        self.is_safe = False

    def state(self, state: State, reason: str) -> None:
        """Remembers."""
        self.states.append((state, reason))

    def beat(self, count: int) -> None:
        """Remembers."""
        self.beats.append(count)

    def safe(self) -> None:
        """Counts."""
        self.safes, self.is_safe = self.safes + 1, True

    def close(self) -> None:
        """Counts."""
        self.closed += 1

    def _trouble(self) -> None:
        slow, self.slow_s = self.slow_s, 0.0
        if slow:
            time.sleep(slow)
        if self.dead:
            raise OutputError(f"{self.name}: does not answer: check the cable")
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault


class FakeAudit:
    """Remembers every verdict.

    Attributes:
        rows, actions: what came.
        fault: raised by the next row, once.
    """

    def __init__(self) -> None:
        self.rows: list[PartVerdict] = []
        self.actions: list[tuple[str, str]] = []
        self.fault: EdgeirfError | Exception | None = None

    def write(self, verdict: PartVerdict) -> None:
        """Remembers."""
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        self.rows.append(verdict)

    def action(self, operator: str, text: str) -> None:
        """Remembers."""
        self.actions.append((operator, text))

    def close(self) -> None:
        """Nothing is held."""
