"""The GPU as an engine needs it: one context, one stream, memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import BackendError
from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.cuda.errors import reported
from edgeirf.runtime.tensorrt.device import Gpu


class CudaDevice:
    """The first GPU (``CUDA_VISIBLE_DEVICES`` chooses) in its primary context, which TensorRT uses too.

    Attributes:
        context: the context, for what else runs on this GPU.
        cuda: major CUDA version of the driver.

    Raises:
        BackendError: pycuda or the driver is missing, or there is no GPU.
    """

    def __init__(self) -> None:
        self.context = CudaContext()
        self._driver, self.cuda = self.context.driver, self.context.cuda
        self.gpu = Gpu(self.context.name, self.context.capability, self.context.multiprocessors)
        try:
            with self.active():
                self._stream: Any = self.context.new_stream()
        except BackendError:
            self.context.close()
            raise
        self.stream = int(self._stream.handle)
        self._memory: list[Any] = []

    @contextmanager
    def active(self) -> Iterator[None]:
        """See :class:`edgeirf.runtime.tensorrt.device.Device`; what pycuda raises inside becomes a BackendError."""
        with self.context.current(), reported("running the network"):
            yield

    def allocate(self, size: int) -> int:
        """See :class:`edgeirf.runtime.tensorrt.device.Device`."""
        self._memory.append(self._driver.mem_alloc(size))
        return int(self._memory[-1])

    def host(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """See :class:`edgeirf.runtime.tensorrt.device.Device`."""
        array: NDArray[np.float32] = self._driver.pagelocked_empty(shape, np.float32)
        self._memory.append(array.base)
        return array

    def upload(self, address: int, array: NDArray[np.float32]) -> None:
        """See :class:`edgeirf.runtime.tensorrt.device.Device`."""
        self._driver.memcpy_htod_async(address, array, self._stream)

    def download(self, array: NDArray[np.float32], address: int) -> None:
        """See :class:`edgeirf.runtime.tensorrt.device.Device`."""
        self._driver.memcpy_dtoh_async(array, address, self._stream)

    def synchronise(self) -> None:
        """See :class:`edgeirf.runtime.tensorrt.device.Device`."""
        self._stream.synchronize()

    def close(self) -> None:
        """See :class:`edgeirf.runtime.tensorrt.device.Device`."""
        if self._stream is None:
            return
        with suppress(BackendError), self.active():
            self.synchronise()
            for block in self._memory:
                block.free()
            self._stream = None
        self.context.close()  # of a lost GPU nothing can be freed but the context, with all that is in it
        self._stream = None
        self._memory.clear()
