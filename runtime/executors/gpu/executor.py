"""Camera bytes to result on the GPU: one graph launch and one wait a frame; nothing is allocated for a frame."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeirf.conformal import Limits
from edgeirf.errors import BackendError, EdgeirfError, UsageError
from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.cuda.errors import GpuLostError, reported
from edgeirf.runtime.executors.base import DeviceMemory, ExecutorResult, check_room, taken_before
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
    input_bytes,
    missing_regions,
    plan_postprocess,
    plan_preprocess,
    read_result,
)
from edgeirf.runtime.scoring import find_regions
from edgeirf.settings import PixelFormat, Preprocess, Scoring

SLOTS = 2
"""Frames in flight: one is uploaded while the other one computes."""


class Launches(NamedTuple):
    """Frames that were queued as one CUDA graph, and frames whose stages were queued one by one, which is slower."""

    graph: int
    single: int


@dataclass(frozen=True, eq=False)
class Flight:
    """A frame on the GPU: where it is, and when its staging began and ended."""

    executor: GpuExecutor
    slot: Slot
    recording: Recording
    begun: float
    staged: float

    def result(self) -> ExecutorResult:
        """See :class:`edgeirf.runtime.executors.base.Pending`."""
        return self.executor.finish(self)


class GpuExecutor:
    """Implements :class:`edgeirf.runtime.executors.base.Executor` on the GPU, with the network run by an engine.

    Upload, two kernels around the network and a download of 64 bytes are one CUDA graph. A frame that is submitted
    while another one computes is uploaded meanwhile. Any thread may use it, one at a time.

    When the driver reports an error, everything is freed and every later call fails with that error.

    Args:
        engine: runs the network; its context is the primary one of the same GPU.
        settings, rules: of the bundle and the graph.
        limits: what scores are compared with; None for nothing.
        name: of the library that runs the network.
        release: frees the engine; called once, after everything else is freed. Not called when this constructor fails.
        ordinal: which GPU.
        keep_warm_s: replay the last frame when the GPU has been idle for this many seconds, and again after as many;
            None leaves the GPU alone between frames. A part that comes during a replay waits for the replay.

    Attributes:
        launches: how many frames ran as a CUDA graph, and how many did not.

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
        self.launches = Launches(0, 0)
        self._depth = 0
        self._used = perf_counter()
        self._idle = keep_warm_s or 0.0
        self._last: Flight | None = None
        self._gpu = Resources(CudaContext(ordinal))
        self._warm: KeepWarm | None = None
        try:
            with self._working("loading the model"):
                self._gpu.acquire(input_bytes(engine.input_shape, engine.input_layout), self._post, SLOTS)
        except EdgeirfError:
            self.close()  # the caller keeps the engine, and may run it in another way
            raise
        self._gpu.free_engine = release
        if keep_warm_s is not None:
            self._warm = KeepWarm(self.tick, keep_warm_s)

    @property
    def fingerprint(self) -> str:
        """See :class:`edgeirf.runtime.executors.base.Executor`."""
        return str(getattr(self.engine, "fingerprint", ""))

    def warm_up(self, size: tuple[int, int], pixel_format: PixelFormat) -> None:
        """See :class:`edgeirf.runtime.executors.base.Executor`: allocates buffers and captures the CUDA graphs."""
        with self._lock, self._working("the warm-up"):
            check_room(not self._busy())
            geometry = Geometry.of(size, pixel_format, self.settings)
            for slot in self._gpu.slots:
                self._leave(slot)
                recording = slot.recorded(geometry) or self._record(slot, geometry)
                recording.capture(self._gpu.compute)
                now = perf_counter()
                self._last = Flight(self, slot, recording, now, now)  # the last frame's recording may be gone

    def submit(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> Flight:
        """See :class:`edgeirf.runtime.executors.base.Executor`."""
        with self._lock, self._working("inspecting a frame"):
            check_room(self._busy() < SLOTS)
            alone = not self._busy()
            flight, compute, copy = self._stage(frame, pixel_format), self._gpu.compute, self._gpu.copy
            if not alone and flight.recording.frame.copies:
                flight.recording.run("upload", copy)
                flight.slot.uploaded.record(copy)
                compute.wait_for_event(flight.slot.uploaded)
            self._launch(flight, upload=alone)
            flight.slot.done.record(compute)
            flight.slot.flight = flight
            return flight

    def finish(self, flight: Flight) -> ExecutorResult:
        """Waits for a frame; see :meth:`edgeirf.runtime.executors.base.Pending.result`."""
        with self._lock, self._working("inspecting a frame"):
            if flight.slot.flight is not flight:
                raise taken_before()
            flight.slot.flight = None
            flight.slot.done.synchronize()
            self._used = perf_counter()
            return self._read(flight)

    def stages(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> dict[str, float]:
        """See :class:`edgeirf.runtime.executors.base.Executor`: each of ``recording.STAGES``, queued one by one."""
        with self._lock, self._working("timing a frame"):
            check_room(not self._busy())
            recording, compute = self._stage(frame, pixel_format).recording, self._gpu.compute
            events = [self._gpu.context.driver.Event() for _ in range(len(STAGES) + 1)]
            events[0].record(compute)
            for stage, event in zip(STAGES, events[1:], strict=True):
                recording.run(stage, compute)
                event.record(compute)
            self._launched += 1
            compute.synchronize()
            return {stage: float(events[i + 1].time_since(events[i])) for i, stage in enumerate(STAGES)}

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Page-locked memory for a camera's frames; see :class:`edgeirf.runtime.executors.base.Executor`.

        A frame in it whose rows the kernels can read is not copied on the host. Where the driver gives none, it is
        ordinary memory.
        """
        with self._lock:
            if self._fault is None:
                with suppress(EdgeirfError), self._gpu.context.current(), reported("lending memory to a camera"):
                    return self._gpu.lending.allocate(shape, dtype)
        return np.zeros(shape, dtype)

    def graph_nodes(self) -> int:
        """Nodes of the CUDA graph of the last frame; 0 where it did not run as one."""
        graphs = self._last.recording.graphs.values() if self._last is not None else ()
        return max((graph.nodes for graph in graphs), default=0)

    def memory(self) -> DeviceMemory:
        """See :class:`edgeirf.runtime.executors.base.Executor`."""
        with self._lock, self._working("asking for memory"):
            free, total = self._gpu.context.driver.mem_get_info()
            return DeviceMemory(int(free), int(total))

    def tick(self) -> bool:
        """Replays the last frame to keep the clocks up, unless frames are or were just inspected.

        Returns:
            False when the executor is closed or has failed.
        """
        if not self._lock.acquire(blocking=False):
            return True
        try:
            idle = perf_counter() - self._used >= self._idle and not self._busy()
            if self._fault is None and self._last is not None and idle:
                with self._working("keeping the GPU warm"):
                    self._last.recording.replay(self._gpu.compute)
                    self._launched += 1
                    self._gpu.compute.synchronize()
        except BackendError:
            return False  # the next frame's error says why
        finally:
            self._lock.release()
        return self._fault is None

    def fetch_map(self, wanted: DeviceMap) -> NDArray[np.float32]:
        """The map of a frame that is still on the GPU; see :class:`DeviceMap`."""
        with self._lock, self._working("fetching a map"):
            if not wanted.there():
                raise UsageError(
                    "the anomaly map has expired (its GPU buffer was reused): ask for it before the next frame"
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
        """See :class:`edgeirf.runtime.executors.base.Executor`."""
        if self._warm is not None:
            self._warm.close()
        with self._lock:
            if self._fault is None:
                self._fault = "it was closed"
                self._end(lost=False)

    def _stage(self, frame: Pixels, pixel_format: PixelFormat | None) -> Flight:
        begun = perf_counter()
        pixel_format = check_frame(frame, pixel_format)
        geometry = Geometry.of(frame_size(frame, pixel_format), pixel_format, self.settings)
        slot = self._free_slot()
        self._leave(slot)
        recording = slot.recorded(geometry) or self._record(slot, geometry)
        slot.lent, recording.lent = frame, self._gpu.lending.find(frame, geometry)
        if recording.lent is None:
            slot.lent = None
            geometry.stage(frame, recording.view)
        self._last = Flight(self, slot, recording, begun, perf_counter())
        return self._last

    def _busy(self) -> int:
        return sum(slot.flight is not None for slot in self._gpu.slots)

    def _free_slot(self) -> Slot:
        return next(slot for slot in self._gpu.slots if slot.flight is None)

    def _leave(self, slot: Slot) -> None:
        """Makes room in the slot; first copies its map where the map shows regions and is still held."""
        wanted = slot.latest() if slot.latest is not None else None
        slot.latest = None
        if wanted is not None:
            wanted.array()
        slot.generation += 1

    def _write_map(self, wanted: DeviceMap) -> None:
        if not wanted.written and wanted.slot.recording is not None:
            wanted.slot.recording.write_map(self._gpu.compute)
            self._launched += 1
            self._gpu.compute.synchronize()
            wanted.written = True

    def _record(self, slot: Slot, geometry: Geometry) -> Recording:
        inner = replace(self.settings, roi=geometry.inner)
        pre = plan_preprocess(inner, geometry.size, geometry.pixel_format, self.engine.input_layout, geometry.pitch)
        post, gpu = replace(self._post, args=self._post.args.copy()), self._gpu
        recording = slot.configure(geometry, gpu.kernels, self.engine, (pre, post), gpu.shared)
        recording.run_all(gpu.compute)  # TensorRT must have run once before it can be captured
        self._launched += 1
        gpu.compute.synchronize()
        return recording

    def _launch(self, flight: Flight, upload: bool) -> None:
        as_graph = flight.recording.launch(self._gpu.compute, upload)
        self.launches = Launches(self.launches.graph + as_graph, self.launches.single + (not as_graph))
        self._launched += 1
        flight.slot.sequence = self._launched % 2**32

    def _read(self, flight: Flight) -> ExecutorResult:
        slot, area = flight.slot, flight.recording.geometry.area
        data = slot.result.host[:RECORD_BYTES].tobytes()
        result = read_result(data, self.map_size, area)
        if result.sequence != slot.sequence:
            raise BackendError("the GPU gave the result of another frame: load the model again, and report it")
        latency = {
            "upload": (flight.staged - flight.begun) * 1e3,
            "inference": (perf_counter() - flight.staged) * 1e3,
        }
        if missing_regions(data):
            result = read_result(slot.whole_result(), self.map_size, area)
        fetch = DeviceMap(self, slot, slot.generation, result.map_written)
        slot.latest = weakref.ref(fetch) if result.found else None
        more = result.more_regions
        regions = find_regions(fetch.array(), self.limits.pixel_threshold, area) if more else result.regions
        p_value = (1 + result.reached_by) / (len(self.limits.scores) + 1)
        return ExecutorResult(result.score, result.peak, result.reject, p_value, regions, fetch, latency)

    @contextmanager
    def _working(self, doing: str) -> Iterator[None]:
        """The context is current inside; an error of the device ends the executor. Nested, does nothing."""
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
