"""What an engine needs of a GPU: which one it is, memory, one stream."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Gpu:
    """A GPU as engines know it.

    Attributes:
        name: every Orin calls itself ``Orin``.
        capability: compute capability, ``(8, 7)`` for Orin.
        multiprocessors: 8 on an Orin Nano, 16 on an AGX Orin; an engine is tuned for their number.
    """

    name: str
    capability: tuple[int, int]
    multiprocessors: int = 0

    @property
    def sm(self) -> str:
        """``SM87``."""
        return f"SM{self.capability[0]}{self.capability[1]}"


class Device(Protocol):
    """What an engine needs of a GPU; addresses are plain integers, as TensorRT takes them.

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
