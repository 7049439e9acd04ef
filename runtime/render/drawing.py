"""The anomaly map and the heat map of one frame, at the frame's size."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.imaging.preprocess import inspected_area
from edgeirf.runtime.render.overlay import Image, draw_regions
from edgeirf.settings import Preprocess
from edgeirf.verdict import Region


def frame_map(small: NDArray[np.float32], size: tuple[int, int], settings: Preprocess) -> NDArray[np.float32]:
    """The map at network resolution over a frame of ``(height, width)``: bilinear in the region of interest, else 0."""
    x, y, width, height = inspected_area(size, settings)
    full = np.zeros(size, np.float32)
    full[y : y + height, x : x + width] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return full


def place_heat(picture: Image, heat: Image, settings: Preprocess, regions: Sequence[Region]) -> Image:
    """Puts a heat map that was drawn on the device into the picture of its frame, in place, and outlines the regions.

    Args:
        picture: ``(H, W, 3)`` uint8 BGR.
        heat: ``(h, w, 3)`` uint8 BGR, the inspected area.
        settings: of the bundle.
        regions: in frame pixels.
    """
    x, y, width, height = inspected_area(picture.shape, settings)
    picture[y : y + height, x : x + width] = heat
    draw_regions(picture, regions)
    return picture
