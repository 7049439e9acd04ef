"""What the back end needs of a GPU: which one it is, memory, one stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import BackendError
from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.cuda.errors import reported


@dataclass(frozen=True)
class Gpu:
    """A GPU as engines know it: its name and compute capability, ``(8, 7)`` for Orin."""

    name: str
    capability: tuple[int, int]

    @property
    def sm(self) -> str:
        """``SM87``."""
        return f"SM{self.capability[0]}{self.capability[1]}"


class Device(Protocol):
    """What the back end needs of a GPU; addresses are plain integers, as TensorRT takes them.

    Attributes:
        gpu: which one.
        stream: handle of the stream that everything below is queued on.
    """

    gpu: Gpu
    stream: int

    def active(self) -> AbstractContextManager[None]:
        """Makes the GPU current in the calling thread; what goes wrong inside is raised as BackendError."""
        ...

    def allocate(self, size: int) -> int:
        """Address of ``size`` bytes of device memory, freed by :meth:`close`."""
        ...

    def host(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """A page-locked float32 array, which copies without a detour; gone after :meth:`close`."""
        ...

    def upload(self, address: int, array: NDArray[np.float32]) -> None:
        """Queues a copy of ``array`` (page-locked) to the device."""
        ...

    def download(self, array: NDArray[np.float32], address: int) -> None:
        """Queues a copy from the device into ``array`` (page-locked)."""
        ...

    def synchronise(self) -> None:
        """Waits for all that was queued."""
        ...

    def close(self) -> None:
        """Frees memory, stream and context; may be called twice."""
        ...


class CudaDevice:
    """The first GPU (``CUDA_VISIBLE_DEVICES`` chooses) in its primary context, which TensorRT uses too.

    Attributes:
        context: the context, for a chain with kernels of its own.

    Raises:
        BackendError: pycuda or the driver is missing, or there is no GPU.
    """

    def __init__(self) -> None:
        self.context = CudaContext()
        self._driver = self.context.driver
        self.gpu = Gpu(self.context.name, self.context.capability)
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
        """See :class:`Device`; what pycuda raises inside becomes a BackendError."""
        with self.context.current(), reported("running the network"):
            yield

    def allocate(self, size: int) -> int:
        """See :class:`Device`."""
        self._memory.append(self._driver.mem_alloc(size))
        return int(self._memory[-1])

    def host(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """See :class:`Device`."""
        array: NDArray[np.float32] = self._driver.pagelocked_empty(shape, np.float32)
        self._memory.append(array.base)
        return array

    def upload(self, address: int, array: NDArray[np.float32]) -> None:
        """See :class:`Device`."""
        self._driver.memcpy_htod_async(address, array, self._stream)

    def download(self, array: NDArray[np.float32], address: int) -> None:
        """See :class:`Device`."""
        self._driver.memcpy_dtoh_async(array, address, self._stream)

    def synchronise(self) -> None:
        """See :class:`Device`."""
        self._stream.synchronize()

    def close(self) -> None:
        """See :class:`Device`."""
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
