"""What frames a model was trained on: a frame of another kind would be scored all the same, and wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.settings import PixelFormat


@dataclass(frozen=True)
class FrameContract:
    """Size, depth and channels of the frames a bundle takes.

    Attributes:
        width, height: pixels of the whole frame, in which the region of interest was drawn.
        bits: significant bits of a value: 8, or 9 to 16 in uint16.
        channels: 1 for gray, 3 for colour.

    >>> FrameContract(640, 480, 8, 3).mismatch(np.zeros((1080, 1920, 3), np.uint8))
    'the frame is 1920x1080 pixels, the model knows 640x480'
    """

    width: int
    height: int
    bits: int
    channels: int

    def mismatch(self, frame: NDArray[Any], pixel_format: PixelFormat | None = None) -> str | None:
        """What of a frame does not fit, in one line; None when all does.

        Args:
            frame: a frame that :func:`edgeirf.runtime.imaging.pixel_format.check_frame` passes.
            pixel_format: None for BGR or gray. Bayer and NV12 count as colour of 8 bits.
        """
        seen = describe(frame, pixel_format)
        if (seen.width, seen.height) != (self.width, self.height):
            return f"the frame is {seen.width}x{seen.height} pixels, the model knows {self.width}x{self.height}"
        if (seen.bits > 8) != (self.bits > 8):
            return f"the frame has {seen.bits} bits a value, the model knows {self.bits}"
        if seen.channels != self.channels:
            return f"the frame is {_colours(seen.channels)}, the model knows {_colours(self.channels)}"
        white = (1 << self.bits) - 1
        if 8 < self.bits < 16 and int(frame.max()) > white:
            return f"the frame has a value of {int(frame.max())}, the model knows {self.bits} bits, up to {white}"
        return None


def describe(frame: NDArray[Any], pixel_format: PixelFormat | None = None) -> FrameContract:
    """The contract that a frame itself fulfils; ``bits`` are those of its type."""
    rows, width = frame.shape[:2]
    height = rows * 2 // 3 if pixel_format == "nv12" else rows
    raw = pixel_format is not None and (pixel_format == "nv12" or pixel_format.startswith("bayer"))
    channels = 3 if raw or (frame.ndim == 3 and frame.shape[2] == 3) else 1
    return FrameContract(width, height, 16 if frame.dtype == np.uint16 else 8, channels)


def _colours(channels: int) -> str:
    return "gray" if channels == 1 else "in colour"
