"""The layout of a frame in memory: which bytes are uploaded, and how the kernels read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.imaging.pixel_format import SMALLEST_RAW, Pixels, check_sides, is_raw
from edgeirf.runtime.imaging.preprocess import inspected_area
from edgeirf.runtime.kernels import FORMATS, default_pitch
from edgeirf.settings import PixelFormat, Preprocess

Box = tuple[int, int, int, int]
"""``(x, y, width, height)`` in pixels of the frame."""


@dataclass(frozen=True)
class Geometry:
    """Size, format and region of interest of a frame; frames of equal geometry run the same CUDA graph.

    Only what the region of interest needs is uploaded, so for the kernel that window is the whole frame. In a Bayer
    frame it has a rim of one pixel, from which the outermost colours are interpolated; it starts at even pixels, so
    that the colour filter looks the same from there.

    Attributes:
        area: what is inspected.
        window: what is uploaded.
        pixel_format: as the kernels call it.
    """

    area: Box
    window: Box
    pixel_format: PixelFormat

    @classmethod
    def of(cls, size: tuple[int, int], pixel_format: PixelFormat, settings: Preprocess) -> Geometry:
        """The geometry of frames of ``(height, width)`` pixels.

        Raises:
            FrameError: they do not cover the region of interest, or have odd sides where the format needs even ones.
        """
        area = inspected_area(size, settings)
        if not is_raw(pixel_format):
            return cls(area, area, pixel_format)
        check_sides(size, pixel_format)
        rim = 0 if pixel_format == "nv12" else 1
        x, width = _even(area[0], area[2], rim, size[1])
        y, height = _even(area[1], area[3], rim, size[0])
        return cls(area, (x, y, width, height), pixel_format)

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` of the window."""
        return self.window[3], self.window[2]

    @property
    def inner(self) -> Box:
        """The inspected area, counted from the corner of the window."""
        return self.area[0] - self.window[0], self.area[1] - self.window[1], self.area[2], self.area[3]

    @property
    def pitch(self) -> int:
        """Bytes from a row to the next."""
        return default_pitch(self.window[2], self.pixel_format)

    @property
    def rows(self) -> int:
        """Rows of bytes: those of the pixels, and for NV12 those of the chroma below them."""
        return self.window[3] * 3 // 2 if self.pixel_format == "nv12" else self.window[3]

    @property
    def nbytes(self) -> int:
        """Bytes to upload."""
        return self.pitch * self.rows

    def view(self, buffer: NDArray[np.uint8]) -> NDArray[Any]:
        """``(rows, width, channels)`` values laid over the start of a buffer, rows :attr:`pitch` apart."""
        layout = FORMATS[self.pixel_format]
        shape = (self.rows, self.window[2], layout.channels)
        strides = (self.pitch, layout.channels * layout.itemsize, layout.itemsize)
        return np.ndarray(shape, np.uint8 if layout.itemsize == 1 else np.uint16, buffer, 0, strides)

    def offset(self, frame: Pixels) -> int | None:
        """Where in a frame the window begins, in bytes; None where its rows do not lie as the kernel reads them."""
        x, y, width, _ = self.window
        whole = (x, width) == (0, frame.shape[1]) and (self.pixel_format != "nv12" or self.rows == frame.shape[0])
        if not whole or not frame.flags.c_contiguous or frame.strides[0] != self.pitch:
            return None
        return y * self.pitch

    def stage(self, frame: Pixels, view: NDArray[Any]) -> None:
        """Copies the window of a frame into a :meth:`view`."""
        x, y, width, height = self.window
        columns = slice(x, x + width)
        values = frame.reshape(*frame.shape[:2], -1)
        np.copyto(view[:height], values[y : y + height, columns])
        if self.pixel_format == "nv12":
            chroma = frame.shape[0] * 2 // 3 + y // 2
            np.copyto(view[height:], values[chroma : chroma + height // 2, columns])


def _even(start: int, length: int, rim: int, whole: int) -> tuple[int, int]:
    """Start and length of the even pixels that cover a stretch and its rim, at least SMALLEST_RAW of them."""
    first = max(start - rim, 0) // 2 * 2
    end = min(-(-(start + length + rim) // 2) * 2, whole)
    first = max(min(first, end - SMALLEST_RAW), 0)
    end = max(end, first + SMALLEST_RAW)
    return first, end - first
