"""Source to detector to sinks: the loop that a line runs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from itertools import islice
from typing import Protocol

import cv2

from edgeirf.errors import EdgeirfError, FrameError, SourceError
from edgeirf.runtime.inspection import Inspection
from edgeirf.runtime.line.stats import Stats
from edgeirf.runtime.sinks import Need, Record, Sink
from edgeirf.runtime.sources.frame import Frame, Source

log = logging.getLogger("edgeirf")

NO_MEMORY = "there is not enough memory to inspect this frame: use smaller frames or close other programs"


class Inspector(Protocol):
    """What the pipeline asks of a detector; :class:`edgeirf.Detector` is one. The frames in flight are its queue."""

    @property
    def depth(self) -> int:
        """How many frames may be in flight."""
        ...

    @property
    def in_flight(self) -> int:
        """How many verdicts are due."""
        ...

    def submit(self, frame: Frame) -> None:
        """Starts the inspection of a frame."""
        ...

    def refuse(self, frame: Frame, error: str) -> None:
        """Queues a frame that cannot be inspected."""
        ...

    def result(self) -> Inspection:
        """The inspection of the oldest frame."""
        ...

    def give_up(self, error: str) -> Sequence[Inspection]:
        """Rejects every frame in flight."""
        ...


def run_pipeline(
    source: Source,
    detector: Inspector,
    sinks: Sequence[Sink],
    stats: Stats,
    max_frames: int | None = None,
) -> EdgeirfError | None:
    """Inspects every frame of the source and hands each verdict to every sink that wants it, in order.

    A frame that cannot be read or inspected is rejected, and the next one follows. When the next frame is in memory
    before a verdict is due, and the detector has room for it, its inspection starts meanwhile. When the device or a
    sink fails, the frames in flight are rejected and the run ends. In every case the sinks finish what they have taken
    and the source is closed.

    Args:
        source: ends by itself, or by :meth:`Source.stop`.
        detector: gives the verdicts.
        sinks: called after each frame.
        stats: counts the verdicts.
        max_frames: None for all.

    Returns:
        What ended the run early (a camera that is gone, a full disk, a device that failed), None when nothing did.
    """
    problem: EdgeirfError | None = None
    outlet = Outlet(sinks, stats)
    try:
        with ExitStack() as stack:
            for sink in sinks:
                stack.callback(outlet.close, sink)
            stack.callback(source.close)  # first, so that a camera drops nothing while the sinks finish
            problem = _run(source, detector, outlet, max_frames)
    except EdgeirfError as error:  # a sink could not finish
        problem = problem or error
    return problem


def _run(source: Source, detector: Inspector, outlet: Outlet, max_frames: int | None) -> EdgeirfError | None:
    problem: EdgeirfError | None = None
    try:
        try:
            for frame in islice(source, max_frames):
                take(detector, frame)
                while detector.in_flight and (detector.in_flight >= detector.depth or not source.waiting):
                    outlet.write(detector.result())
        except SourceError as error:
            problem = error
        while detector.in_flight:
            outlet.write(detector.result())
    except EdgeirfError as error:
        problem = problem or error
        for rejected in detector.give_up(str(error)):
            with suppress(EdgeirfError):  # the first problem is the one to report
                outlet.write(rejected)
        if outlet.lost:
            problem = EdgeirfError(f"{problem}; records not written: {outlet.lost}")
    return problem


def take(detector: Inspector, frame: Frame) -> None:
    """Starts the inspection of a frame; one that cannot be inspected is rejected in turn."""
    try:
        detector.submit(frame)
    except EdgeirfError as error:
        detector.refuse(frame, str(error))
        if not isinstance(error, FrameError):
            raise
    except MemoryError:
        detector.refuse(frame, NO_MEMORY)
    except cv2.error as error:
        if error.code != cv2.Error.STS_NO_MEM:
            raise
        detector.refuse(frame, NO_MEMORY)


class Outlet:
    """Hands records to sinks; a sink that fails gets no more, and the others get all.

    Attributes:
        lost: records that a sink wanted and did not take, because it had failed.
    """

    def __init__(self, sinks: Sequence[Sink], stats: Stats) -> None:
        self._sinks = list(sinks)
        self._stats = stats
        self._failed: list[Sink] = []
        self._silent: list[Sink] = []
        self.lost = 0

    def write(self, inspection: Inspection) -> None:
        """Hands on one inspection.

        Raises:
            EdgeirfError: a sink failed, or a picture for a sink could not be computed; every sink has the verdict.
        """
        self._stats.add(inspection.verdict)
        self.lost += sum(sink.wants(inspection.verdict) for sink in self._failed)
        takers = [sink for sink in self._sinks if sink.wants(inspection.verdict)]
        needs: set[Need] = {need for sink in takers for need in sink.needs}
        problem: EdgeirfError | None = None
        try:
            record = make_record(inspection, needs)
        except EdgeirfError as error:  # the device was lost after the verdict
            problem, record = error, make_record(inspection, needs & {"frame"})
        except (MemoryError, cv2.error) as error:
            log.warning("frame %s: its heat map is left out: %s", inspection.frame_id, error or "not enough memory")
            record = make_record(inspection, needs & {"frame"})
        for sink in takers:
            try:
                sink.write(record)
            except Exception as error:
                self._sinks.remove(sink)
                if sink.decoration:
                    self._without(sink, error)
                elif isinstance(error, EdgeirfError):
                    self._failed.append(sink)
                    self.lost += 1
                    problem = problem or error
                else:
                    raise
        if problem is not None:
            raise problem

    def close(self, sink: Sink) -> None:
        """Closes a sink; raises what it raises, but for a decoration."""
        try:
            sink.close()
        except Exception as error:
            if not sink.decoration:
                raise
            self._without(sink, error)

    def _without(self, sink: Sink, error: Exception) -> None:
        """Says once that a decoration failed."""
        if sink not in self._silent:
            self._silent.append(sink)
            log.warning("%s failed and is left out (%s): the inspection goes on", type(sink).__name__, error)


def make_record(inspection: Inspection, needs: set[Need]) -> Record:
    """The inspection as plain data, with what the sinks need.

    Raises:
        EdgeirfError: the map has expired, or the device failed.
    """
    frame, scored = inspection.frame, inspection.verdict.status == "ok"
    return Record(
        inspection.verdict,
        frame if "frame" in needs else None,
        inspection.map() if scored and "map" in needs else None,
        inspection.overlay(frame.image) if scored and "overlay" in needs and frame.image is not None else None,
    )
