"""Memory lent to cameras: page-locked, so that the GPU takes a frame from where the camera wrote it."""

from __future__ import annotations

import math
import mmap
import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.cuda import libcuda
from edgeirf.runtime.cuda.errors import CudaError
from edgeirf.runtime.executors.gpu.frame_layout import Geometry


@dataclass(frozen=True, eq=False)
class LentFrame:
    """A frame that lies in lent memory.

    Attributes:
        values: its bytes that the kernel reads, ``(n,)`` uint8.
        address: of the first one, as the GPU sees it where it shares the host's memory.
    """

    values: NDArray[np.uint8]
    address: int


@dataclass(frozen=True, eq=False)
class _Block:
    start: int
    owner: NDArray[np.uint8]
    address: int
    lent: weakref.ref[NDArray[Any]]


class Lending:
    """Blocks of host memory that are registered with the driver. The context must be current for every method.

    The memory is the host's own: a camera may go on writing when the executor is closed, or when the GPU is lost. Each
    block is registered as long as an array in it is in use.
    """

    def __init__(self) -> None:
        self._blocks: list[_Block] = []

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """An array of that shape and type, its pixels zero.

        Raises:
            CudaError: the driver refuses.
        """
        self._forget(everything=False)
        size = math.prod(shape) * dtype.itemsize
        owner = np.frombuffer(mmap.mmap(-1, max(size, 1)), np.uint8)  # starts at a page, as registering wants it
        # Not by pycuda: the array that its register_host_memory gives ends the process when it is freed.
        libcuda.call("cuMemHostRegister_v2", owner.ctypes.data, owner.nbytes, libcuda.REGISTER_MAPPED)
        address = libcuda.new_handle("cuMemHostGetDevicePointer_v2", owner.ctypes.data, 0)
        lent = np.frombuffer(owner.data, np.uint8)  # no view: NumPy would pass it over, and hold the owner
        self._blocks.append(_Block(owner.ctypes.data, owner, address, weakref.ref(lent)))
        return lent[:size].view(dtype).reshape(shape)

    def find(self, frame: NDArray[Any], geometry: Geometry) -> LentFrame | None:
        """The frame in place; None where it lies elsewhere, or the kernel cannot read it as it lies."""
        offset = geometry.offset(frame)
        if offset is None:
            return None
        start = frame.ctypes.data + offset
        for block in self._blocks:
            first = start - block.start
            if first >= 0 and first + geometry.nbytes <= block.owner.nbytes:
                return LentFrame(block.owner[first : first + geometry.nbytes], block.address + first)
        return None

    def free(self) -> None:
        """Tells the driver to forget all blocks; the arrays stay as they are."""
        self._forget(everything=True)

    def _forget(self, everything: bool) -> None:
        for block in [one for one in self._blocks if everything or one.lent() is None]:
            self._blocks.remove(block)
            with suppress(CudaError):  # of a lost GPU the registration is gone with the context
                libcuda.call("cuMemHostUnregister", block.start)
