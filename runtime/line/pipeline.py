"""Source to detector to sinks: the loop that a line runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import islice
from time import perf_counter
from typing import Protocol

from edgeirf.errors import EdgeirfError, FrameError, SourceError
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.line.stats import Stats
from edgeirf.runtime.sinks.sink import Sink
from edgeirf.runtime.sources.frame import Frame, Source
from edgeirf.settings import PixelFormat
from edgeirf.verdict import Verdict


class Inspector(Protocol):
    """What the pipeline asks of a detector; :class:`edgeirf.Detector` is one."""

    @property
    def depth(self) -> int:
        """How many frames may be in flight."""
        ...

    def submit(
        self,
        frame: Pixels,
        *,
        pixel_format: PixelFormat | None,
        frame_id: int | str | None,
        source: str | None,
        captured_at: float | None,
    ) -> None:
        """Starts on a frame."""
        ...

    def result(self) -> Verdict:
        """The verdict on the frame that was submitted first."""
        ...

    def failed(
        self, error: str, *, frame_id: int | str | None, source: str | None, captured_at: float | None
    ) -> Verdict:
        """The verdict on a frame that could not be read."""
        ...


class Line:
    """Frames whose verdicts are due, in order.

    Args:
        detector: gives the verdicts.
    """

    def __init__(self, detector: Inspector) -> None:
        self._detector = detector
        self._due: deque[tuple[Frame, str | None]] = deque()

    def __len__(self) -> int:
        return len(self._due)

    @property
    def full(self) -> bool:
        """Whether a verdict must be given before the next frame is taken."""
        return len(self._due) >= self._detector.depth

    def take(self, frame: Frame) -> None:
        """Starts on a frame; one that cannot be inspected becomes a reject when its turn comes.

        Raises:
            BackendError: the library or device failed; :meth:`give_up` then rejects the frames that are due.
        """
        error = None if frame.image is not None else frame.error or "no image"
        self._due.append((frame, error))
        if frame.image is None:
            return
        about = {"frame_id": frame.frame_id, "source": frame.source, "captured_at": frame.captured_at}
        try:
            self._detector.submit(frame.image, pixel_format=frame.pixel_format, **about)  # type: ignore[arg-type]
        except FrameError as refused:
            self._due[-1] = (frame, str(refused))

    def give(self) -> tuple[Frame, Verdict]:
        """The oldest frame and its verdict, with ``camera_to_verdict`` among its latencies.

        Raises:
            BackendError: as :meth:`take`.
        """
        frame, error = self._due[0]
        if error is not None:
            return self.give_up(error)
        verdict = self._detector.result()
        self._due.popleft()
        total = (perf_counter() - frame.clock) * 1e3
        return frame, replace(verdict, latency_ms={**verdict.latency_ms, "camera_to_verdict": total})

    def give_up(self, error: str) -> tuple[Frame, Verdict]:
        """The oldest frame, rejected: nobody will inspect it any more."""
        frame, own = self._due.popleft()
        about = {"frame_id": frame.frame_id, "source": frame.source, "captured_at": frame.captured_at}
        return frame, self._detector.failed(own or error, **about)  # type: ignore[arg-type]


def run_pipeline(
    source: Source,
    detector: Inspector,
    sinks: Sequence[Sink],
    stats: Stats,
    max_frames: int | None = None,
) -> EdgeirfError | None:
    """Inspects every frame of the source and hands each verdict to every sink, in order.

    A frame that cannot be read or inspected gets a verdict that rejects it, and the next one follows. When the next
    frame is at hand before a verdict is, and the detector has room for it, it is started on meanwhile. When the back
    end or a sink fails, the frames that were taken are rejected and the run ends. Whatever happens, the sinks finish
    what they have taken and the source is closed.

    Args:
        source: ends by itself, or by :meth:`Source.stop`.
        detector: gives the verdicts.
        sinks: called after each frame.
        stats: counts the verdicts.
        max_frames: None for all.

    Returns:
        What ended the run early (a camera that is gone, a full disk, a back end that failed), None when nothing did.
    """
    problem: EdgeirfError | None = None
    try:
        with ExitStack() as stack:
            for sink in sinks:
                stack.callback(sink.close)
            stack.callback(source.close)  # first, so that a camera drops nothing while the sinks finish
            problem = _run(source, Line(detector), sinks, stats, max_frames)
    except EdgeirfError as error:  # a sink could not finish
        problem = problem or error
    return problem


def _run(
    source: Source, line: Line, sinks: Sequence[Sink], stats: Stats, max_frames: int | None
) -> EdgeirfError | None:
    problem: EdgeirfError | None = None
    outlet = _Outlet(sinks, stats)
    try:
        try:
            for frame in islice(source, max_frames):
                line.take(frame)
                while line and (line.full or not source.waiting):
                    outlet.write(*line.give())
        except SourceError as error:
            problem = error
        while line:
            outlet.write(*line.give())
    except EdgeirfError as error:
        problem = problem or error
        while line:
            with suppress(EdgeirfError):  # the first problem is the one to tell
                outlet.write(*line.give_up(str(error)))
    return problem


class _Outlet:
    """Hands verdicts to sinks; one that fails gets no more, and the others get all."""

    def __init__(self, sinks: Sequence[Sink], stats: Stats) -> None:
        self._sinks = list(sinks)
        self._stats = stats

    def write(self, frame: Frame, verdict: Verdict) -> None:
        """Hands on one verdict.

        Raises:
            EdgeirfError: a sink failed.
        """
        self._stats.add(verdict)
        problem: EdgeirfError | None = None
        for sink in tuple(self._sinks):
            try:
                sink.write(frame, verdict)
            except EdgeirfError as error:
                self._sinks.remove(sink)
                problem = problem or error
        if problem is not None:
            raise problem
