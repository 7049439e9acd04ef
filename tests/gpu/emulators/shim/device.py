"""The kernels on the CPU, called through ctypes."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.kernels import Launch

Order = Literal["forward", "reverse", "shuffled"]
ORDERS: tuple[Order, ...] = ("forward", "reverse", "shuffled")


class KernelFault(Exception):
    """A kernel did something it must not: out of bounds, misaligned, a barrier that not all threads reach."""


class Traffic(ctypes.Structure):
    """Bytes between a multiprocessor and the memory system; see ``memory.h``."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("streamed", "cached", "stored", "atomics")]


@dataclass
class Shim:
    """One compiled library.

    Attributes:
        path: of the library.
        order: in which threads and blocks run.
        seed: of the shuffled order.
    """

    path: Path
    order: Order = "forward"
    seed: int = 1

    def __post_init__(self) -> None:
        self._library = ctypes.CDLL(str(self.path))
        self._library.shim_keep_errors(1)
        self._library.shim_error.restype = ctypes.c_char_p
        self.traffic = Traffic()

    def launch(self, plan: Launch, buffers: dict[str, NDArray[Any]]) -> None:
        """Runs a launch; its address fields are set to the buffers.

        Raises:
            KernelFault: with what, where, and by which thread.
        """
        args = plan.args.copy()
        for name, buffer in buffers.items():
            args[name] = buffer.ctypes.data
        addresses = (ctypes.c_void_p * len(buffers))(*[buffer.ctypes.data for buffer in buffers.values()])
        sizes = (ctypes.c_size_t * len(buffers))(*[buffer.nbytes for buffer in buffers.values()])
        self.traffic = Traffic()
        self._library.shim_order(ORDERS.index(self.order), ctypes.c_uint(self.seed))
        self._library.shim_buffers(addresses, sizes, len(buffers))
        self._library.shim_count(ctypes.byref(self.traffic))
        shape = (ctypes.c_uint * 6)(*plan.grid, *plan.block)
        getattr(self._library, f"cudacpu_launch_{plan.kernel}")(shape, 0, args.tobytes())
        error = self._library.shim_error().decode()
        if error:
            raise KernelFault(error)


def allocate(plan: Launch, **contents: NDArray[Any]) -> dict[str, NDArray[np.uint8]]:
    """The plan's buffers as bytes: given contents, uploaded constants, a zeroed workspace, and 0xFF elsewhere.

    Args:
        plan: whose buffers.
        contents: of inputs; shorter ones leave the end of their buffer poisoned.
    """
    buffers = {}
    for name, size in plan.buffers.items():
        buffers[name] = np.full(size, 0 if name == "workspace" else 0xFF, np.uint8)
        given = contents[name].tobytes() if name in contents else plan.constants.get(name, b"")
        buffers[name][: len(given)] = np.frombuffer(given, np.uint8)
    return buffers
