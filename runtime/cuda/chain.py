"""Camera bytes to verdict on the GPU: one graph launch and one wait a frame; nothing is allocated on the way."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import BackendError, EdgeirfError, UsageError
from edgeirf.runtime.chain import Inspected
from edgeirf.runtime.cuda.buffers import DeviceBuffer
from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.cuda.errors import GpuLostError, reported
from edgeirf.runtime.cuda.geometry import Geometry
from edgeirf.runtime.cuda.keepwarm import KeepWarm
from edgeirf.runtime.cuda.maps import DeviceMap
from edgeirf.runtime.cuda.modules import Kernels
from edgeirf.runtime.cuda.recording import STAGES, Engine
from edgeirf.runtime.cuda.slot import Slot
from edgeirf.runtime.kernels import RECORD_BYTES, missing_regions, plan_postprocess, plan_preprocess, read_result
from edgeirf.runtime.preprocess import Pixels, check_frame
from edgeirf.runtime.scoring import find_regions
from edgeirf.settings import Preprocess, Scoring

SLOTS = 2
"""Frames in flight: one is uploaded while the other one computes."""


@dataclass(frozen=True)
class _Flight:
    """A frame on its way: its slot, and when its staging began and ended."""

    slot: Slot
    begun: float
    staged: float


class CudaChain:
    """Implements :class:`edgeirf.runtime.chain.Chain` on the GPU, with the network run by an engine.

    ``inspect(frame)`` is the short way: upload, two kernels around the network and 64 bytes down are one CUDA graph.
    ``submit(frame)`` and ``result()`` are the pair for a line that has the next frame before the last one is done:
    the upload of one then overlaps the computing of the other. Both may be used from any thread, one at a time.

    When the driver reports an error, everything is released and every later call fails with that error's line.

    Args:
        engine: runs the network; its context is the primary one of the same GPU.
        settings, rules: of the bundle and the graph.
        name: of the back end.
        release: frees the engine; called once, after everything else of the chain is freed. Not called when the chain
            cannot be made.
        ordinal: which GPU.
        keep_warm_s: replay the last frame when the chain has been idle for this many seconds; None, the default,
            leaves the GPU alone between frames.

    Raises:
        BackendError: no GPU, no compiler, or not enough memory.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Preprocess,
        rules: Scoring,
        *,
        name: str = "tensorrt",
        release: Callable[[], None] = lambda: None,
        ordinal: int = 0,
        keep_warm_s: float | None = None,
    ) -> None:
        self.name = name
        self.settings, self.rules, self.engine = settings, rules, engine
        self.map_size = (settings.size[0] * settings.tiles[0], settings.size[1] * settings.tiles[1])
        self._lock = threading.RLock()
        self._release_engine: Callable[[], None] = lambda: None
        self._fault: str | None = None
        self._launched = 0
        self._turn = 0
        self._last: Slot | None = None
        self._in_flight: deque[_Flight] = deque()
        self._slots: list[Slot] = []
        self._shared: dict[str, DeviceBuffer] = {}
        self._kernels: Kernels | None = None
        self._compute: Any = None
        self._copy: Any = None
        self._context = CudaContext(ordinal)
        self._warm: KeepWarm | None = None
        try:
            with self._working("preparing the model"):
                self._open()
        except EdgeirfError:
            self.close()  # the caller keeps the engine, and may run it in another way
            raise
        self._release_engine = release
        if keep_warm_s is not None:
            self._warm = KeepWarm(self.tick, keep_warm_s)

    def inspect(self, frame: Pixels, pixel_threshold: float) -> Inspected:
        """See :class:`edgeirf.runtime.chain.Chain`."""
        with self._lock, self._working("inspecting a frame"):
            if self._in_flight:
                raise UsageError("frames are in flight: take result() of each before inspect()")
            flight = self._stage(frame, pixel_threshold)
            self._launch(flight.slot, upload=True)
            self._compute.synchronize()
            return self._finish(flight)

    def submit(self, frame: Pixels, pixel_threshold: float) -> None:
        """Starts on a frame and returns; its verdict is the next one that :meth:`result` gives.

        Raises:
            FrameError: the frame is not one the model takes.
            UsageError: two frames are in flight already.
            BackendError: the device failed.
        """
        with self._lock, self._working("submitting a frame"):
            if len(self._in_flight) == SLOTS:
                raise UsageError(f"{SLOTS} frames are in flight: take a result() before the next submit()")
            flight = self._stage(frame, pixel_threshold)
            recording = flight.slot.recording
            assert recording is not None  # noqa: S101
            if recording.frame.copies:
                recording.run("upload", self._copy)
                flight.slot.uploaded.record(self._copy)
                self._compute.wait_for_event(flight.slot.uploaded)
            self._launch(flight.slot, upload=False)
            flight.slot.done.record(self._compute)
            self._in_flight.append(flight)
            self._turn = (self._turn + 1) % SLOTS

    def result(self) -> Inspected:
        """Waits for the frame that was submitted first.

        Raises:
            UsageError: no frame is in flight.
            BackendError: the device failed.
        """
        with self._lock, self._working("inspecting a frame"):
            if not self._in_flight:
                raise UsageError("no frame is in flight: submit() one first")
            flight = self._in_flight.popleft()
            flight.slot.done.synchronize()
            return self._finish(flight)

    def time_stages(self, frame: Pixels, pixel_threshold: float) -> dict[str, float]:
        """Milliseconds that each of :data:`STAGES` takes on the GPU, queued one by one: for benchmarks.

        Raises:
            FrameError, UsageError, BackendError: as :meth:`inspect`.
        """
        with self._lock, self._working("timing a frame"):
            if self._in_flight:
                raise UsageError("frames are in flight: take result() of each first")
            recording = self._stage(frame, pixel_threshold).slot.recording
            assert recording is not None  # noqa: S101
            events = [self._context.driver.Event() for _ in range(len(STAGES) + 1)]
            events[0].record(self._compute)
            for stage, event in zip(STAGES, events[1:], strict=True):
                recording.run(stage, self._compute)
                event.record(self._compute)
            self._launched += 1
            self._compute.synchronize()
            return {stage: float(events[i + 1].time_since(events[i])) for i, stage in enumerate(STAGES)}

    def memory(self) -> tuple[int, int]:
        """Bytes of the GPU's memory that are free, and that it has."""
        with self._lock, self._working("asking for memory"):
            free, total = self._context.driver.mem_get_info()
            return int(free), int(total)

    def tick(self) -> bool:
        """Replays the last frame to keep the clocks up; does nothing while frames are inspected.

        Returns:
            False when the chain is closed or has failed.
        """
        if not self._lock.acquire(blocking=False):
            return True
        try:
            if self._fault is None and self._last is not None and not self._in_flight:
                with self._working("keeping the GPU warm"):
                    self._launch(self._last, upload=False)
                    self._compute.synchronize()
        except BackendError:
            return False  # the next inspect() says why
        finally:
            self._lock.release()
        return self._fault is None

    def fetch_map(self, wanted: DeviceMap) -> NDArray[np.float32]:
        """The map of a frame that is still on the GPU; see :class:`DeviceMap`."""
        with self._lock, self._working("fetching a map"):
            slot = wanted.slot
            if slot.generation != wanted.generation or slot.recording is None:
                raise UsageError(
                    "the map of this frame has left the GPU: ask for it before the next frame is inspected"
                )
            if not wanted.written:
                slot.recording.write_map(self._compute)
                self._launched += 1
                self._compute.synchronize()
            out = np.empty(self.map_size, np.float32)
            slot.map.read(out)
            return out

    def close(self) -> None:
        """See :class:`edgeirf.runtime.chain.Chain`. May be called twice."""
        if self._warm is not None:
            self._warm.close()
        with self._lock:
            if self._fault is None:
                self._fault = "it was closed"
                self._release(lost=False)

    def _open(self) -> None:
        driver = self._context.driver
        self._compute, self._copy = driver.Stream(), driver.Stream()
        self._kernels = Kernels(self._context, ("preprocess.cu", "postprocess.cu"))
        post = self._plan_postprocess(0.0)
        sizes = {
            "input": 4 * int(np.prod(self.engine.input_shape)),
            "tables": post.buffers["tables"],
            "workspace": post.buffers["workspace"],
        }
        for name, size in sizes.items():
            self._shared[name] = DeviceBuffer(self._context, size)
        self._shared["tables"].write(post.constants["tables"])
        self._shared["workspace"].fill_zero()
        for _ in range(SLOTS):
            self._slots.append(Slot(self._context, post))

    def _plan_postprocess(self, pixel_threshold: float) -> Any:
        shape = self.engine.output_shape
        field_shape = (shape[0], shape[1], shape[2], shape[3])
        return plan_postprocess(
            self.rules,
            field_shape,
            self.settings.tiles,
            self.settings.size,
            "float32",
            pixel_threshold=pixel_threshold,
        )

    def _stage(self, frame: Pixels, pixel_threshold: float) -> _Flight:
        begun = perf_counter()
        check_frame(frame)
        geometry = Geometry.of(frame, self.settings)
        slot = self._slots[self._turn]
        self._keep_map(slot)
        slot.generation += 1
        if not slot.fits((geometry, pixel_threshold)):
            self._configure(slot, geometry, pixel_threshold)
        assert slot.view is not None  # noqa: S101
        geometry.stage(frame, slot.view, self.settings)
        self._last = slot
        return _Flight(slot, begun, perf_counter())

    def _keep_map(self, slot: Slot) -> None:
        """Fetches the map of the slot's last frame where it shows regions and somebody still holds it."""
        wanted = slot.latest() if slot.latest is not None else None
        slot.latest = None
        if wanted is not None:
            wanted()

    def _configure(self, slot: Slot, geometry: Geometry, pixel_threshold: float) -> None:
        assert self._kernels is not None  # noqa: S101
        inner = Preprocess(**{**vars(self.settings), "roi": None})  # only the region of interest is uploaded
        pre = plan_preprocess(inner, geometry.size, geometry.pixel_format, "float32", geometry.pitch)
        shared = {name: buffer.address for name, buffer in self._shared.items()}
        plans = (pre, self._plan_postprocess(pixel_threshold))
        recording = slot.configure((geometry, pixel_threshold), self._kernels, self.engine, plans, shared)
        recording.run_all(self._compute)  # TensorRT must have run once before it can be captured
        self._launched += 1
        self._compute.synchronize()

    def _launch(self, slot: Slot, upload: bool) -> None:
        assert slot.recording is not None  # noqa: S101
        slot.recording.graph(self._compute, upload).launch(self._compute)
        self._launched += 1
        slot.sequence = self._launched % 2**32

    def _finish(self, flight: _Flight) -> Inspected:
        slot, recording = flight.slot, flight.slot.recording
        assert recording is not None  # noqa: S101
        area, threshold = recording.key[0].area, recording.key[1]
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
        regions = find_regions(fetch(), threshold, area) if result.more_regions else result.regions
        return Inspected(result.score, result.peak, regions, fetch, stages)

    @contextmanager
    def _working(self, doing: str) -> Iterator[None]:
        """The context is current inside; an error of the device ends the chain."""
        if self._fault is not None:
            raise BackendError(f"this model no longer runs ({self._fault}): load it again")
        try:
            with reported(doing), self._context.current():
                yield
        except BackendError as error:
            self._fault = str(error)
            self._release(lost=isinstance(error, GpuLostError))
            raise

    def _release(self, lost: bool) -> None:
        """Frees everything. After a loss the context goes first: freeing one by one could only fail, one by one."""
        if lost:
            self._context.close()
            self._drop()
        else:
            with suppress(Exception), self._context.current():
                self._compute.synchronize()
                self._copy.synchronize()
            with suppress(Exception), self._context.current():
                self._drop()
        with suppress(Exception):
            self._release_engine()
        self._context.close()

    def _drop(self) -> None:
        self._in_flight.clear()
        self._last = None
        for slot in self._slots:
            slot.free()
        self._slots.clear()
        for buffer in self._shared.values():
            with suppress(Exception):
                buffer.free()
        self._shared.clear()
        if self._kernels is not None:
            self._kernels.free()
        self._kernels = self._compute = self._copy = None
