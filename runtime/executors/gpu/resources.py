"""What an executor holds on the GPU as long as it lives, and how it frees it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from edgeirf.runtime.cuda.buffers import DeviceBuffer
from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.cuda.modules import Kernels
from edgeirf.runtime.executors.gpu.heat import HeatKernel
from edgeirf.runtime.executors.gpu.lending import Lending
from edgeirf.runtime.executors.gpu.slot import Slot
from edgeirf.runtime.kernels import Launch

FILES = ("preprocess.cu", "postprocess.cu")


class Resources:
    """Streams, kernels, shared buffers and slots. The context must be current for every method but ``release``.

    Attributes:
        context: the GPU's.
        compute: the stream that all computing is queued on.
        copy: the stream of uploads that overlap it.
        kernels: loaded.
        shared: addresses of ``input``, ``tables`` and ``workspace``.
        slots: one for each frame in flight.
        heat: draws heat maps.
        lending: memory for cameras.
        free_engine: called once, after everything else is freed.
    """

    def __init__(self, context: CudaContext) -> None:
        self.context = context
        self.compute: Any = None
        self.copy: Any = None
        self.kernels = Kernels()
        self.shared: dict[str, int] = {}
        self.slots: list[Slot] = []
        self.heat = HeatKernel(context, self.kernels)
        self.lending = Lending()
        self.free_engine: Callable[[], None] = lambda: None
        self._buffers: list[DeviceBuffer] = []

    def acquire(self, input_bytes: int, post: Launch, slots: int) -> None:
        """Allocates everything.

        Args:
            input_bytes: of the network's input.
            post: the post-processing launch, for its sizes and tables.
            slots: how many frames may be in flight.

        Raises:
            BackendError: no compiler for the kernels.
            Exception: pycuda's, when the driver refuses.
        """
        self.compute, self.copy = self.context.new_stream(), self.context.new_stream()
        self.kernels.load(self.context, FILES)
        self._share("input", input_bytes)
        self._share("tables", post.buffers["tables"]).write(post.constants["tables"], self.compute)
        self._share("workspace", post.buffers["workspace"]).fill_zero(self.compute)
        for _ in range(slots):
            self.slots.append(Slot(self.context, post))

    def release(self, lost: bool) -> None:
        """Frees everything, once, from any thread; what the driver refuses to free goes with the context.

        Args:
            lost: the driver no longer answers. The context is then closed first, because each single call would fail.
        """
        if lost:
            self.context.close()
            self._drop()
        else:
            with suppress(Exception), self.context.current():
                self.compute.synchronize()
                self.copy.synchronize()
            with suppress(Exception), self.context.current():
                self._drop()
        free_engine, self.free_engine = self.free_engine, lambda: None
        with suppress(Exception):
            free_engine()
        self.context.close()

    def _share(self, name: str, size: int) -> DeviceBuffer:
        buffer = DeviceBuffer(self.context, size)
        self._buffers.append(buffer)
        self.shared[name] = buffer.address
        return buffer

    def _drop(self) -> None:
        for slot in self.slots:
            slot.free()
        self.slots.clear()
        for buffer in self._buffers:
            with suppress(Exception):
                buffer.free()
        self._buffers.clear()
        self.heat.free()
        self.lending.free()
        self.kernels.free()
        self.compute = self.copy = None
