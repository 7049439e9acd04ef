"""Memory of the host and the GPU: allocated once, used for every frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.cuda.context import CudaContext


class DeviceBuffer:
    """Bytes on the GPU. The context must be current for every method.

    Attributes:
        address: of the first byte.
        size: in bytes.
    """

    def __init__(self, context: CudaContext, size: int) -> None:
        self._driver = context.driver
        self._memory = context.driver.mem_alloc(size)
        self.address = int(self._memory)
        self.size = size

    def fill_zero(self, stream: Any) -> None:
        """Sets every byte to zero, and waits for the stream."""
        self._driver.memset_d8_async(self.address, 0, self.size, stream)
        stream.synchronize()

    def write(self, data: bytes, stream: Any) -> None:
        """Copies ``data`` to the start of the buffer, and waits for the stream."""
        staged = self._driver.pagelocked_empty(len(data), np.uint8)
        try:
            staged[:] = np.frombuffer(data, np.uint8)
            self._driver.memcpy_htod_async(self.address, staged, stream)
            stream.synchronize()
        finally:
            staged.base.free()

    def read(self, out: NDArray[Any]) -> None:
        """Fills ``out`` from the start of the buffer, at once: what makes its content must have been waited for."""
        self._driver.memcpy_dtoh(out, self.address)

    def free(self) -> None:
        """Frees the memory."""
        self._memory.free()


class SharedBuffer:
    """Page-locked bytes of the host, and their twin on the GPU.

    Where the GPU shares the host's memory (Jetson) the two are the same bytes and nothing is ever copied: Orin's
    caches are coherent with the GPU's reads and writes.

    Attributes:
        host: ``(size,)`` uint8.
        address: of the first byte, as the GPU sees it.
        copies: whether :meth:`upload` and :meth:`download` have anything to do.

    Args:
        size: in bytes.
        mapped: the GPU works on the host's bytes, over the bus where it has memory of its own: for a few bytes.
    """

    def __init__(self, context: CudaContext, size: int, mapped: bool = False) -> None:
        self._driver = driver = context.driver
        self.copies = not (context.integrated or mapped)
        flags = 0 if self.copies else driver.host_alloc_flags.DEVICEMAP
        self.host: NDArray[np.uint8] = driver.pagelocked_empty(size, np.uint8, mem_flags=flags)
        self._pinned = self.host.base
        self._device: DeviceBuffer | None = None
        try:
            self._device = DeviceBuffer(context, size) if self.copies else None
            self.address = self._device.address if self._device else int(self._pinned.get_device_pointer())
        except Exception:
            self._pinned.free()
            raise

    def upload(self, stream: Any, size: int | None = None, values: NDArray[np.uint8] | None = None) -> None:
        """Queues the copy of the first ``size`` bytes, or of other page-locked ``values``, to the GPU."""
        if self.copies:
            self._driver.memcpy_htod_async(self.address, self.host[:size] if values is None else values, stream)

    def download(self, stream: Any, size: int | None = None) -> None:
        """Queues the copy of the first ``size`` bytes to the host."""
        if self.copies:
            self._driver.memcpy_dtoh_async(self.host[:size], self.address, stream)

    def read(self, out: NDArray[Any]) -> None:
        """Fills ``out`` from the GPU's side, at once: what makes its content must have been waited for."""
        self._driver.memcpy_dtoh(out, self.address)

    def free(self) -> None:
        """Frees both; :attr:`host` must not be used afterwards."""
        if self._device is not None:
            self._device.free()
        self._pinned.free()
