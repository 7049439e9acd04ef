"""What a frame's shape decides: which bytes go up, and the launches that turn them into a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.kernels import PixelFormat, default_pitch
from edgeirf.runtime.preprocess import Pixels, crop, inspected_area
from edgeirf.settings import Preprocess

_FORMATS: dict[tuple[int, int], PixelFormat] = {(1, 1): "gray8", (3, 1): "bgr8", (1, 2): "gray16", (3, 2): "bgr16"}


@dataclass(frozen=True)
class Geometry:
    """Everything of a frame but its pixels; frames of equal geometry run the same CUDA graph.

    Only the region of interest is uploaded, so for the kernel it is the whole frame.

    Attributes:
        area: ``(x, y, width, height)`` in frame pixels of what is inspected.
        channels: 1 or 3.
        itemsize: bytes of a value, 1 or 2.
    """

    area: tuple[int, int, int, int]
    channels: int
    itemsize: int

    @classmethod
    def of(cls, frame: Pixels, settings: Preprocess) -> Geometry:
        """The geometry of a checked frame.

        Raises:
            FrameError: it does not cover the region of interest.
        """
        channels = frame.shape[2] if frame.ndim == 3 else 1
        return cls(inspected_area(frame.shape, settings), channels, frame.itemsize)

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` of what is uploaded."""
        return self.area[3], self.area[2]

    @property
    def pixel_format(self) -> PixelFormat:
        """As the kernels call it."""
        return _FORMATS[self.channels, self.itemsize]

    @property
    def pitch(self) -> int:
        """Bytes from a row to the next."""
        return default_pitch(self.area[2], self.pixel_format)

    @property
    def nbytes(self) -> int:
        """Bytes to upload."""
        return self.pitch * self.area[3]

    def view(self, buffer: NDArray[np.uint8]) -> NDArray[Any]:
        """``(height, width, channels)`` pixels laid over the start of a buffer, rows :attr:`pitch` apart."""
        height, width = self.size
        shape, strides = (height, width, self.channels), (self.pitch, self.channels * self.itemsize, self.itemsize)
        return np.ndarray(shape, np.uint8 if self.itemsize == 1 else np.uint16, buffer, 0, strides)

    def stage(self, frame: Pixels, view: NDArray[Any], settings: Preprocess) -> None:
        """Copies the region of interest of ``frame`` into a :meth:`view`."""
        np.copyto(view, crop(frame, settings).reshape(view.shape))
