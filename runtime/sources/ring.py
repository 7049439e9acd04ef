"""Memory that frames are written into: lent to frames, and used again once nobody looks at them any more."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Allocate = Callable[[tuple[int, ...], "np.dtype[Any]"], NDArray[Any]]
"""Gives an array of that shape and type, in page-locked memory where the device has it."""

SLOTS = 8
"""Frames that may be in use at once: two that wait, those in flight, one that is written, and some that sinks keep."""


class Slot:
    """One piece of memory, and whether an array in it is in use.

    NumPy lets every view hold on to the array that owns its memory, here :attr:`owner`: the count of references says
    whether there is a view. The memoryview between keeps NumPy from passing it over.

    Args:
        memory: contiguous.
    """

    def __init__(self, memory: NDArray[Any]) -> None:
        flat = np.ascontiguousarray(memory).reshape(-1).view(np.uint8)
        if not np.shares_memory(flat, memory):
            raise ValueError("frames need contiguous memory")
        self.owner = np.frombuffer(flat.data, np.uint8)
        self._unused = sys.getrefcount(self.owner)

    @property
    def free(self) -> bool:
        """Whether no array in this memory is left."""
        return sys.getrefcount(self.owner) <= self._unused

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """A new array at the start of the memory."""
        size = int(np.prod(shape)) * dtype.itemsize
        return self.owner[:size].view(dtype).reshape(shape)


class Ring:
    """Slots of one size, allocated when the first frame comes.

    >>> ring = Ring(np.empty, slots=1)
    >>> first = ring.lend((2, 2), np.dtype(np.uint8))
    >>> ring.lend((2, 2), np.dtype(np.uint8)) is None  # the only slot is in use
    True
    >>> del first
    >>> ring.lend((2, 2), np.dtype(np.uint8)).shape
    (2, 2)

    Args:
        allocate: gives the memory.
        slots: how many frames may be in use at once.
    """

    def __init__(self, allocate: Allocate, slots: int = SLOTS) -> None:
        self._allocate = allocate
        self._count = slots
        self._slots: list[Slot] = []
        self._kind: tuple[tuple[int, ...], np.dtype[Any]] | None = None

    def lend(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any] | None:
        """An array that nobody else looks at; None when every slot is in use. Its pixels are old ones."""
        if self._kind != (shape, dtype):
            self._kind = (shape, dtype)
            self._slots = [Slot(self._allocate(shape, dtype)) for _ in range(self._count)]
        for number, slot in enumerate(self._slots):
            if slot.free:
                self._slots.append(self._slots.pop(number))  # the one freed longest ago comes first
                return slot.array(shape, dtype)
        return None
