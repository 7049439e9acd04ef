"""What frames a model was trained on: a frame of another kind would be scored all the same, and wrongly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import UsageError
from edgeirf.settings import PixelFormat, Preprocess

ASPECT_TOLERANCE = 0.01
"""Cameras round their sides: 1920x1080 and 640x360 are one view, 640x480 is another."""
COLOUR = 4
"""Mean difference of a pixel's channels, in 255ths of white, above which a frame is in colour."""


@dataclass(frozen=True)
class FrameContract:
    """Size, depth and channels of the frames a bundle takes.

    Attributes:
        width, height: pixels of the whole frame, in which the region of interest was drawn; None when the model was
            trained on several sizes.
        bits: significant bits of a value: 8, or 9 to 16 in uint16.
        channels: 1 for gray, 3 for colour. Three equal channels count as gray.
        depths: bits of a stored value: 8, 16 or both.

    >>> FrameContract(640, 480, 8, 3).mismatch(np.zeros((1080, 1920, 3), np.uint8))
    'the frame is 1920x1080 pixels, the model knows 640x480'
    """

    width: int | None
    height: int | None
    bits: int
    channels: int
    depths: tuple[int, ...] = (8,)

    def __post_init__(self) -> None:
        sides = (self.width, self.height)
        if (None in sides and sides != (None, None)) or any(s is not None and not 1 <= s <= 2**20 for s in sides):
            raise ValueError(f"a frame has two sides of 1 to {2**20} pixels, not {self.width}x{self.height}")
        if not 8 <= self.bits <= 16 or self.channels not in (1, 3) or not self.depths or set(self.depths) - {8, 16}:
            raise ValueError("a frame has 8 to 16 bits, 1 or 3 channels, depths of 8 and 16")

    def mismatch(self, frame: NDArray[Any], pixel_format: PixelFormat | None = None) -> str | None:
        """What of a frame does not fit, in one line; None when all does.

        Args:
            frame: a frame that :func:`edgeirf.runtime.imaging.pixel_format.check_frame` passes.
            pixel_format: None for BGR or gray. Bayer and NV12 count as colour of 8 bits.
        """
        rows, width = frame.shape[:2]
        if wrong := self.wrong_size(rows * 2 // 3 if pixel_format == "nv12" else rows, width):
            return wrong
        if 8 * frame.itemsize not in self.depths:
            known = self.bits if self.depths == (16,) else 8
            return f"the frame has {8 * frame.itemsize} bits a value, the model knows {known}"
        white = (1 << self.bits) - 1
        if frame.itemsize == 2 and self.bits < 16 and (peak := int(frame.max())) > white:
            return f"the frame has a value of {peak}, the model knows {self.bits} bits, up to {white}"
        return self._wrong_channels(frame, pixel_format)

    def wrong_size(self, height: int, width: int) -> str | None:
        """As :meth:`mismatch`, of a frame that is not there yet: its sides in pixels."""
        if self.width is None or (width, height) == (self.width, self.height):
            return None
        return f"the frame is {width}x{height} pixels, the model knows {self.width}x{self.height}"

    def _wrong_channels(self, frame: NDArray[Any], pixel_format: PixelFormat | None) -> str | None:
        raw = pixel_format is not None and (pixel_format == "nv12" or pixel_format.startswith("bayer"))
        three = frame.ndim == 3 and frame.shape[2] == 3
        if self.channels == 3 and not three and not raw:
            return "the frame is gray, the model knows frames in colour"
        if self.channels == 1 and three and _in_colour(frame, self.bits):
            return "the frame is in colour, the model knows gray frames"
        return None

    def at(self, settings: Preprocess, width: int, height: int) -> tuple[FrameContract, Preprocess]:
        """Contract and pre-processing for another resolution of the same view: the region of interest is scaled.

        Raises:
            UsageError: the aspect differs, so it is another view, or the model was trained on several sizes.
        """
        asked = f"{width}x{height}"
        if self.width is None or self.height is None:
            raise UsageError(f"another resolution, {asked}, has no meaning: the model was trained on several sizes")
        across, down = width / self.width, height / self.height
        if not (0 < width <= 2**20 and 0 < height <= 2**20 and abs(across - down) <= ASPECT_TOLERANCE * down):
            raise UsageError(
                f"{asked} is not another resolution of the {self.width}x{self.height} pixels that the model knows: "
                "the aspect differs, so the camera sees another view; set the camera, or train on its pictures"
            )
        if settings.roi is not None:
            x, y, roi_width, roi_height = settings.roi
            left, top = round(x * across), round(y * down)
            right, bottom = round((x + roi_width) * across), round((y + roi_height) * down)
            settings = replace(settings, roi=(left, top, max(1, right - left), max(1, bottom - top)))
        return replace(self, width=width, height=height), settings


def _in_colour(frame: NDArray[Any], bits: int) -> bool:
    """Read on every eighth pixel of every eighth row: this is done for each frame."""
    sample = frame[::8, ::8].astype(np.float32)
    white = 255.0 if frame.dtype == np.uint8 else float((1 << bits) - 1)
    return float((sample.max(axis=2) - sample.min(axis=2)).mean()) > COLOUR / 255.0 * white
