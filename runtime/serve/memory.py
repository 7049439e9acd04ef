"""Shared memory of a client: what it says of itself is checked before a byte is read."""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import stat

import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import FrameError
from edgeirf.runtime.imaging.pixel_format import Pixels, frame_shape
from edgeirf.runtime.serve.protocol import Request

MAX_BYTES = 2**31
"""Largest shared memory that a client may pass."""


class ClientMemory:
    """The memory that holds a client's frame, and the map on its way back.

    The memory is unmapped when nothing refers to it any more: a closed mapping under an array would end the process.

    Args:
        descriptor: of the memory; stays the caller's.

    Raises:
        FrameError: the memory may shrink, which would end the server, or it is too large.
    """

    def __init__(self, descriptor: int) -> None:
        try:
            seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
            status = os.fstat(descriptor)
        except OSError as error:
            raise FrameError(f"the client passed no shared memory ({error.strerror})") from None
        if not stat.S_ISREG(status.st_mode) or not seals & fcntl.F_SEAL_SHRINK:
            raise FrameError("the client's shared memory is not sealed against shrinking")
        if not 0 < status.st_size <= MAX_BYTES:
            raise FrameError(f"the client's shared memory has {status.st_size} bytes, at most {MAX_BYTES} are allowed")
        try:
            self._mapped = mmap.mmap(descriptor, status.st_size)
        except (OSError, ValueError) as error:
            raise FrameError(f"the client's shared memory cannot be mapped ({error})") from None
        self.size = status.st_size

    def frame(self, request: Request) -> Pixels:
        """The frame where it lies, without a copy.

        Raises:
            FrameError: the memory is too small for it.
        """
        shape = frame_shape((request.height, request.width), request.pixel_format)
        kind = np.dtype(np.uint16 if request.pixel_format.endswith("16") else np.uint8)
        self._check_room(0, math.prod(shape) * kind.itemsize)
        pixels: Pixels = np.frombuffer(self._mapped, kind, math.prod(shape)).reshape(shape)
        return pixels

    def write_map(self, request: Request, anomaly_map: NDArray[np.float32]) -> None:
        """Writes the map where the client asks for it.

        Raises:
            FrameError: the client's room is not that of this bundle's map.
        """
        if request.map_values != anomaly_map.size or request.map_at % 4:
            raise FrameError(f"the map has {anomaly_map.size} values, the client has room for {request.map_values}")
        self._check_room(request.map_at, anomaly_map.nbytes)
        room = np.frombuffer(self._mapped, np.float32, anomaly_map.size, request.map_at)
        room[:] = anomaly_map.ravel()

    def _check_room(self, start: int, length: int) -> None:
        if start > self.size or length > self.size - start:
            raise FrameError(f"the client's shared memory has {self.size} bytes, {start + length} are necessary")
