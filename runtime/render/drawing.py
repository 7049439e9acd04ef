"""What people see of an inspected frame: its map and its heat map, made when asked for."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import FrameError
from edgeirf.runtime.executors.chain import Inspected
from edgeirf.runtime.imaging.pixel_format import Pixels, check_frame, frame_size, to_bgr
from edgeirf.runtime.imaging.preprocess import inspected_area
from edgeirf.runtime.render.overlay import Image, draw_regions, overlay, to_bgr8
from edgeirf.settings import PixelFormat, Preprocess


@dataclass(frozen=True)
class Drawing:
    """Draws one frame.

    Attributes:
        inspected: what the chain said of it.
        size: ``(height, width)`` of the frame.
        pixel_format: of the frame; None for BGR or gray.
        settings: of the bundle.
        pixel_threshold: fixes the colours.
    """

    inspected: Inspected
    size: tuple[int, int]
    pixel_format: PixelFormat | None
    settings: Preprocess
    pixel_threshold: float

    def map(self) -> NDArray[np.float32]:
        """``(H, W)``: see :meth:`edgeirf.Verdict.map`."""
        return frame_map(self.inspected.map(), self.size, self.settings)

    def overlay(self, frame: Pixels) -> Image:
        """``(H, W, 3)``: see :meth:`edgeirf.Verdict.overlay`."""
        if frame_size(frame, check_frame(frame, self.pixel_format)) != self.size:
            height, width = self.size
            raise FrameError(f"the overlay is for the frame that was inspected, of {width}x{height} pixels")
        picture = to_bgr8(to_bgr(frame, self.pixel_format))
        heat = self.inspected.heat()
        if heat is None:
            return overlay(picture, self.map(), self.pixel_threshold, self.inspected.regions)
        x, y, width, height = inspected_area(self.size, self.settings)
        picture[y : y + height, x : x + width] = heat
        draw_regions(picture, self.inspected.regions)
        return picture


def frame_map(small: NDArray[np.float32], size: tuple[int, int], settings: Preprocess) -> NDArray[np.float32]:
    """The map at network resolution over a frame of ``(height, width)``: bilinear in the region of interest, else 0."""
    x, y, width, height = inspected_area(size, settings)
    full = np.zeros(size, np.float32)
    full[y : y + height, x : x + width] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return full
