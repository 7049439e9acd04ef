"""Source to detector to sinks: the loop that a line runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from time import perf_counter
from typing import Protocol

from edgeirf.errors import EdgeirfError, FrameError
from edgeirf.runtime.preprocess import Pixels
from edgeirf.runtime.sinks.sink import Sink
from edgeirf.runtime.sources.frame import Frame, Source
from edgeirf.runtime.stats import Stats
from edgeirf.verdict import Verdict


class Inspector(Protocol):
    """What the pipeline asks of a detector; :class:`edgeirf.Detector` is one."""

    def __call__(
        self, frame: Pixels, *, frame_id: int | str | None, source: str | None, captured_at: float | None
    ) -> Verdict:
        """The verdict on one frame."""
        ...

    def failed(
        self, error: str, *, frame_id: int | str | None, source: str | None, captured_at: float | None
    ) -> Verdict:
        """The verdict on a frame that could not be read."""
        ...


def run_pipeline(
    source: Source,
    detector: Inspector,
    sinks: Sequence[Sink],
    stats: Stats,
    max_frames: int | None = None,
) -> EdgeirfError | None:
    """Inspects every frame of the source and hands each verdict to every sink, in order.

    A frame that cannot be read or inspected gets a verdict that rejects it, and the next one follows. Whatever
    happens, the sinks finish what they have taken and the source is closed.

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
            try:
                for frame in islice(source, max_frames):
                    verdict = inspect(detector, frame)
                    stats.add(verdict)
                    for sink in sinks:
                        sink.write(frame, verdict)
            except EdgeirfError as error:
                problem = error
    except EdgeirfError as error:  # a sink could not finish
        problem = problem or error
    return problem


def inspect(detector: Inspector, frame: Frame) -> Verdict:
    """The verdict on one frame, with ``camera_to_verdict`` among its latencies; an error is a reject."""
    if frame.image is None:
        return _failed(detector, frame, frame.error or "no image")
    try:
        verdict = detector(frame.image, frame_id=frame.frame_id, source=frame.source, captured_at=frame.captured_at)
    except FrameError as error:
        return _failed(detector, frame, str(error))
    total = (perf_counter() - frame.clock) * 1e3
    return replace(verdict, latency_ms={**verdict.latency_ms, "camera_to_verdict": total})


def _failed(detector: Inspector, frame: Frame, error: str) -> Verdict:
    return detector.failed(error, frame_id=frame.frame_id, source=frame.source, captured_at=frame.captured_at)
