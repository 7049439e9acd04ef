"""Camera bytes to verdict on the GPU: one graph launch and one wait a frame; nothing is allocated on the way."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from edgeirf.conformal import Limits
from edgeirf.errors import BackendError, EdgeirfError, UsageError
from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.cuda.errors import GpuLostError, reported
from edgeirf.runtime.executors.chain import Inspected, check_free
from edgeirf.runtime.executors.gpu.frame_layout import Geometry
from edgeirf.runtime.executors.gpu.keep_warm import KeepWarm
from edgeirf.runtime.executors.gpu.maps import DeviceMap
from edgeirf.runtime.executors.gpu.recording import STAGES, Engine, Recording
from edgeirf.runtime.executors.gpu.resources import Resources
from edgeirf.runtime.executors.gpu.slot import Slot
from edgeirf.runtime.imaging.pixel_format import Pixels, check_frame, frame_size
from edgeirf.runtime.kernels import (
    RECORD_BYTES,
    Launch,
    missing_regions,
    plan_postprocess,
    plan_preprocess,
    read_result,
)
from edgeirf.runtime.scoring import find_regions
from edgeirf.settings import PixelFormat, Preprocess, Scoring

SLOTS = 2
"""Frames in flight: one is uploaded while the other one computes."""


@dataclass(frozen=True)
class _Flight:
    """A frame on its way: where it is, and when its staging began and ended."""

    slot: Slot
    recording: Recording
    begun: float
    staged: float


class CudaChain:
    """Implements :class:`edgeirf.runtime.executors.chain.Chain` on the GPU, with the network run by an engine.

    Upload, two kernels around the network and 64 bytes down are one CUDA graph. A frame that is submitted while
    another one computes is uploaded meanwhile. May be used from any thread, one at a time.

    When the driver reports an error, everything is released and every later call fails with that error's line.

    Args:
        engine: runs the network; its context is the primary one of the same GPU.
        settings, rules: of the bundle and the graph.
        limits: what scores are held against; None for nothing.
        name: of the back end.
        release: frees the engine; called once, after everything else of the chain is freed. Not called when the chain
            cannot be made.
        ordinal: which GPU.
        keep_warm_s: replay the last frame when the chain has been idle for this many seconds, and again after as
            many; None, the default, leaves the GPU alone between frames. A part that comes during a replay waits for
            it.

    Raises:
        BackendError: no GPU, no compiler, or not enough memory.
    """

    depth = SLOTS

    def __init__(
        self,
        engine: Engine,
        settings: Preprocess,
        rules: Scoring,
        limits: Limits | None = None,
        *,
        name: str = "tensorrt",
        release: Callable[[], None] = lambda: None,
        ordinal: int = 0,
        keep_warm_s: float | None = None,
    ) -> None:
        self.name = name
        self.settings, self.engine, self.limits = settings, engine, limits or Limits()
        self.map_size = (settings.size[0] * settings.tiles[0], settings.size[1] * settings.tiles[1])
        self._post = _plan_postprocess(engine, settings, rules, self.limits)
        self._lock = threading.RLock()
        self._fault: str | None = None
        self._launched = 0
        self._depth = 0
        self._used = perf_counter()
        self._idle = keep_warm_s or 0.0
        self._last: _Flight | None = None
        self._in_flight: deque[_Flight] = deque()
        self._gpu = Resources(CudaContext(ordinal))
        self._warm: KeepWarm | None = None
        try:
            with self._working("preparing the model"):
                self._gpu.acquire(engine.input_shape, self._post, SLOTS)
        except EdgeirfError:
            self.close()  # the caller keeps the engine, and may run it in another way
            raise
        self._gpu.free_engine = release
        if keep_warm_s is not None:
            self._warm = KeepWarm(self.tick, keep_warm_s)

    def prepare(self, size: tuple[int, int], pixel_format: PixelFormat) -> None:
        """See :class:`edgeirf.runtime.executors.chain.Chain`: reserves memory, runs once and captures the graphs."""
        with self._lock, self._working("preparing for the camera"):
            check_free(not self._in_flight)
            geometry = Geometry.of(size, pixel_format, self.settings)
            for slot in self._gpu.slots:
                self._leave(slot)
                recording = slot.recorded(geometry) or self._record(slot, geometry)
                recording.capture(self._gpu.compute)
                self._last = _Flight(slot, recording, perf_counter(), perf_counter())  # the one before may be gone

    def inspect(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> Inspected:
        """See :class:`edgeirf.runtime.executors.chain.Chain`."""
        with self._lock, self._working("inspecting a frame"):
            check_free(not self._in_flight)
            self._submit(frame, pixel_format)
            return self._result()

    def submit(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> None:
        """See :class:`edgeirf.runtime.executors.chain.Chain`."""
        with self._lock, self._working("submitting a frame"):
            check_free(len(self._in_flight) < SLOTS)
            self._submit(frame, pixel_format)

    def result(self) -> Inspected:
        """See :class:`edgeirf.runtime.executors.chain.Chain`."""
        with self._lock, self._working("inspecting a frame"):
            if not self._in_flight:
                raise UsageError("no frame is in flight: submit() one first")
            return self._result()

    def time_stages(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> dict[str, float]:
        """Milliseconds that each of :data:`STAGES` takes on the GPU, queued one by one: for benchmarks.

        Raises:
            FrameError, UsageError, BackendError: as :meth:`inspect`.
        """
        with self._lock, self._working("timing a frame"):
            check_free(not self._in_flight)
            recording, compute = self._stage(frame, pixel_format).recording, self._gpu.compute
            events = [self._gpu.context.driver.Event() for _ in range(len(STAGES) + 1)]
            events[0].record(compute)
            for stage, event in zip(STAGES, events[1:], strict=True):
                recording.run(stage, compute)
                event.record(compute)
            self._launched += 1
            compute.synchronize()
            return {stage: float(events[i + 1].time_since(events[i])) for i, stage in enumerate(STAGES)}

    def memory(self) -> tuple[int, int]:
        """Bytes of the GPU's memory that are free, and that it has."""
        with self._lock, self._working("asking for memory"):
            free, total = self._gpu.context.driver.mem_get_info()
            return int(free), int(total)

    def tick(self) -> bool:
        """Replays the last frame to keep the clocks up, unless frames are or have just been inspected.

        Returns:
            False when the chain is closed or has failed.
        """
        if not self._lock.acquire(blocking=False):
            return True
        try:
            idle = perf_counter() - self._used >= self._idle and not self._in_flight
            if self._fault is None and self._last is not None and idle:
                with self._working("keeping the GPU warm"):
                    self._last.recording.replay(self._gpu.compute)
                    self._launched += 1
                    self._gpu.compute.synchronize()
        except BackendError:
            return False  # the next inspect() says why
        finally:
            self._lock.release()
        return self._fault is None

    def fetch_map(self, wanted: DeviceMap) -> NDArray[np.float32]:
        """The map of a frame that is still on the GPU; see :class:`DeviceMap`."""
        with self._lock, self._working("fetching a map"):
            if not wanted.there():
                raise UsageError(
                    "the map of this frame has left the GPU: ask for it before the next frame is inspected"
                )
            self._write_map(wanted)
            out = np.empty(self.map_size, np.float32)
            wanted.slot.map.read(out)
            return out

    def draw_heat(self, wanted: DeviceMap) -> NDArray[np.uint8] | None:
        """The heat map over a frame that is still on the GPU; see :class:`DeviceMap`."""
        with self._lock, self._working("drawing a heat map"):
            if not wanted.there():
                return None
            self._write_map(wanted)
            threshold = self.limits.pixel_threshold
            return self._gpu.heat.draw(wanted.slot, self.map_size, threshold, self._gpu.compute)

    def close(self) -> None:
        """See :class:`edgeirf.runtime.executors.chain.Chain`. May be called twice."""
        if self._warm is not None:
            self._warm.close()
        with self._lock:
            if self._fault is None:
                self._fault = "it was closed"
                self._end(lost=False)

    def _submit(self, frame: Pixels, pixel_format: PixelFormat | None) -> None:
        flight, compute, copy = self._stage(frame, pixel_format), self._gpu.compute, self._gpu.copy
        alone = not self._in_flight
        if not alone and flight.recording.frame.copies:
            flight.recording.run("upload", copy)
            flight.slot.uploaded.record(copy)
            compute.wait_for_event(flight.slot.uploaded)
        self._launch(flight, upload=alone)
        flight.slot.done.record(compute)
        self._in_flight.append(flight)

    def _result(self) -> Inspected:
        flight = self._in_flight.popleft()
        flight.slot.done.synchronize()
        self._used = perf_counter()
        return self._finish(flight)

    def _stage(self, frame: Pixels, pixel_format: PixelFormat | None) -> _Flight:
        begun = perf_counter()
        pixel_format = check_frame(frame, pixel_format)
        geometry = Geometry.of(frame_size(frame, pixel_format), pixel_format, self.settings)
        slot = self._free_slot()
        self._leave(slot)
        recording = slot.recorded(geometry) or self._record(slot, geometry)
        geometry.stage(frame, recording.view)
        self._last = _Flight(slot, recording, begun, perf_counter())
        return self._last

    def _free_slot(self) -> Slot:
        taken = [flight.slot for flight in self._in_flight]
        return next(slot for slot in self._gpu.slots if slot not in taken)

    def _leave(self, slot: Slot) -> None:
        """Makes room in the slot; first fetches its map where that shows regions and somebody still holds it."""
        wanted = slot.latest() if slot.latest is not None else None
        slot.latest = None
        if wanted is not None:
            wanted()
        slot.generation += 1

    def _write_map(self, wanted: DeviceMap) -> None:
        if not wanted.written and wanted.slot.recording is not None:
            wanted.slot.recording.write_map(self._gpu.compute)
            self._launched += 1
            self._gpu.compute.synchronize()
            wanted.written = True

    def _record(self, slot: Slot, geometry: Geometry) -> Recording:
        inner = replace(self.settings, roi=geometry.inner)
        pre = plan_preprocess(inner, geometry.size, geometry.pixel_format, "float32", geometry.pitch)
        post, gpu = replace(self._post, args=self._post.args.copy()), self._gpu
        recording = slot.configure(geometry, gpu.kernels, self.engine, (pre, post), gpu.shared)
        recording.run_all(gpu.compute)  # TensorRT must have run once before it can be captured
        self._launched += 1
        gpu.compute.synchronize()
        return recording

    def _launch(self, flight: _Flight, upload: bool) -> None:
        flight.recording.launch(self._gpu.compute, upload)
        self._launched += 1
        flight.slot.sequence = self._launched % 2**32

    def _finish(self, flight: _Flight) -> Inspected:
        slot, area = flight.slot, flight.recording.geometry.area
        data = slot.result.host[:RECORD_BYTES].tobytes()
        result = read_result(data, self.map_size, area)
        if result.sequence != slot.sequence:
            raise BackendError("the GPU gave the result of another frame: load the model again, and report it")
        stages = {
            "copy": (flight.staged - flight.begun) * 1e3,
            "gpu": (perf_counter() - flight.staged) * 1e3,
        }
        if missing_regions(data):
            result = read_result(slot.whole_result(), self.map_size, area)
        fetch = DeviceMap(self, slot, slot.generation, result.map_written)
        slot.latest = weakref.ref(fetch) if result.found else None
        more = result.more_regions
        regions = find_regions(fetch(), self.limits.pixel_threshold, area) if more else result.regions
        p_value = (1 + result.reached_by) / (len(self.limits.scores) + 1)
        return Inspected(result.score, result.peak, result.reject, p_value, regions, fetch, stages, fetch.heat)

    @contextmanager
    def _working(self, doing: str) -> Iterator[None]:
        """The context is current inside; an error of the device ends the chain. Within another, does nothing."""
        if self._fault is not None:
            raise BackendError(f"this model no longer runs ({self._fault}): load it again")
        if self._depth:
            yield
            return
        self._depth += 1
        try:
            with reported(doing), self._gpu.context.current():
                yield
        except BackendError as error:
            self._fault = str(error)
            self._end(lost=isinstance(error, GpuLostError))
            raise
        finally:
            self._depth -= 1

    def _end(self, lost: bool) -> None:
        self._in_flight.clear()
        self._last = None
        self._gpu.release(lost)


def _plan_postprocess(engine: Engine, settings: Preprocess, rules: Scoring, limits: Limits) -> Launch:
    tiles, channels, height, width = engine.output_shape
    return plan_postprocess(
        rules,
        (tiles, channels, height, width),
        settings.tiles,
        settings.size,
        "float32",
        scores=limits.scores,
        score_threshold=limits.threshold,
        pixel_threshold=limits.pixel_threshold,
    )
