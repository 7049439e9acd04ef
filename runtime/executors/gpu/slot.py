"""The memory of one frame in flight."""

from __future__ import annotations

import weakref
from contextlib import suppress

from edgeirf.runtime.cuda.buffers import DeviceBuffer, SharedBuffer
from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.cuda.modules import Kernels
from edgeirf.runtime.executors.base import AnomalyMap
from edgeirf.runtime.executors.gpu.frame_layout import Geometry
from edgeirf.runtime.executors.gpu.recording import Engine, Recording
from edgeirf.runtime.kernels import RESULT, Launch


class Slot:
    """Buffers and recording of one frame. The context must be current for every method.

    The slots share the network's input, the tables and the workspace, because one stream computes frame after frame.
    Each slot has its own frame bytes, which are uploaded while another frame computes, and its own field, map and
    result, which are read while the next frame computes.

    Attributes:
        recording: the work, for the geometry of the last frame.
        generation: counts the frames this slot has seen; a map belongs to one.
        sequence: the kernel's count of launches when the frame in flight is done.
        flight: the frame whose result was not taken yet.
        latest: the map of the last frame, while it is held.
        lent: the frame, where it lies in memory lent to a camera: kept until another one takes its place.
    """

    def __init__(self, context: CudaContext, post: Launch) -> None:
        self._context = context
        self._fixed: list[DeviceBuffer | SharedBuffer] = []
        self._frame: SharedBuffer | None = None
        self.recording: Recording | None = None
        self.generation = 0
        self.sequence = 0
        self.flight: object | None = None
        self.lent: object | None = None
        self.latest: weakref.ref[AnomalyMap] | None = None
        try:
            self.field = DeviceBuffer(context, post.buffers["field"])
            self._fixed.append(self.field)
            self.map = DeviceBuffer(context, post.buffers["map"])
            self._fixed.append(self.map)
            self.result = SharedBuffer(context, RESULT.itemsize, mapped=True)  # the kernel writes it once
            self._fixed.append(self.result)
            untimed = context.driver.event_flags.DISABLE_TIMING
            self.uploaded, self.done = context.driver.Event(untimed), context.driver.Event(untimed)
        except Exception:
            self.free()
            raise

    def recorded(self, geometry: Geometry) -> Recording | None:
        """The recording, where it is for frames of this geometry."""
        return self.recording if self.recording is not None and self.recording.geometry == geometry else None

    def configure(
        self,
        geometry: Geometry,
        kernels: Kernels,
        engine: Engine,
        plans: tuple[Launch, Launch],
        shared: dict[str, int],
    ) -> Recording:
        """Sets the slot up for frames of another geometry.

        Args:
            geometry: of the frames.
            kernels, engine: what runs.
            plans: launches of pre- and post-processing; they become the slot's.
            shared: addresses of ``input``, ``tables`` and ``workspace``.
        """
        self._drop_recording()
        frame = self._reserve(geometry.nbytes)
        pre, post = plans
        pre.args["frame"], pre.args["output"] = frame.address, shared["input"]
        own = {"field": self.field.address, "map": self.map.address, "result": self.result.address}
        for name, address in (own | {"tables": shared["tables"], "workspace": shared["workspace"]}).items():
            post.args[name] = address
        network = (shared["input"], self.field.address)
        self.recording = Recording(geometry, kernels, engine, frame, self.result, pre, post, network)
        return self.recording

    def whole_result(self) -> bytes:
        """All of the result, when its first 64 bytes say that there is more."""
        return self.result.host.tobytes()

    def _reserve(self, size: int) -> SharedBuffer:
        if self._frame is not None and self._frame.host.nbytes < size:
            frame, self._frame = self._frame, None
            frame.free()
        if self._frame is None:
            self._frame = SharedBuffer(self._context, size)
        return self._frame

    def _drop_recording(self) -> None:
        self.lent = None
        if self.recording is not None:
            self.recording.free()
        self.recording = None

    def free(self) -> None:
        """Frees everything; what the driver refuses is freed with the context."""
        self._drop_recording()
        self.flight = None
        for buffer in [*self._fixed, *([self._frame] if self._frame else [])]:
            with suppress(Exception):
                buffer.free()
        self._fixed.clear()
        self._frame = None
        self.uploaded = self.done = None
