"""Anomaly maps for people: a heat map over the frame, with the regions outlined."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.verdict import Region

Image = NDArray[np.uint8]

OCTAVES = 3.0
"""The colours span this many doublings below and above the threshold, which is always in the middle."""
OPACITY = 0.6
"""Of the heat map where it is strongest, so that the part is seen through it."""


def overlay(frame: Pixels, scored_map: NDArray[np.float32], threshold: float, regions: Sequence[Region] = ()) -> Image:
    """Lays the heat map over the frame.

    The scale is logarithmic and fixed by the threshold, so that a colour means the same on every picture: clear
    up to 0.7 of the pixel threshold, green at it, orange at four times, dark red from eight times on.

    Args:
        frame: ``(H, W, 3)`` BGR, ``(H, W)`` or ``(H, W, 1)`` gray; uint8 or uint16.
        scored_map: ``(H, W)`` float32, :meth:`edgeirf.Verdict.map`.
        threshold: the pixel threshold, in the map's units.
        regions: outlined with boxes.

    Returns:
        ``(H, W, 3)`` uint8 BGR.
    """
    picture = to_bgr8(frame)
    heat = octaves(scored_map, threshold)
    level = np.clip(0.5 + heat / (2 * OCTAVES), 0, 1)
    colours = cv2.applyColorMap(np.rint(level * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    opacity = OPACITY * np.clip(heat + 0.5, 0, 1)[..., None]
    blended: Image = np.rint(picture + opacity * (colours.astype(np.float32) - picture)).astype(np.uint8)
    draw_regions(blended, regions)
    return blended


def octaves(scored_map: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Map values as doublings above the threshold: 0 at it, -1 at half of it."""
    smallest = float(np.finfo(np.float32).tiny)
    doublings: NDArray[np.float32] = np.log2(np.maximum(scored_map, smallest) / max(threshold, smallest))
    return doublings


def draw_regions(picture: Image, regions: Sequence[Region]) -> None:
    """Draws a box around each region, in place: white with a dark edge, to be seen on any part."""
    thickness = max(1, round(max(picture.shape[:2]) / 400))
    for colour, width in (((0, 0, 0), 3 * thickness), ((255, 255, 255), thickness)):
        for r in regions:
            corners = (r.x, r.y), (r.x + r.width - 1, r.y + r.height - 1)
            cv2.rectangle(picture, *corners, colour, width, cv2.LINE_AA)


def to_bgr8(frame: Pixels) -> Image:
    """A copy of any frame to show: ``(H, W, 3)`` uint8 BGR.

    Sixteen-bit frames are scaled by the number of bits that their brightest pixel needs, so that those of a 12-bit
    camera are not shown black.
    """
    if frame.dtype == np.uint16:
        bits = max(8, int(frame.max()).bit_length())
        frame = (frame >> (bits - 8)).astype(np.uint8)
    if frame.ndim == 2 or frame.shape[2] == 1:
        return cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR).astype(np.uint8, copy=False)
    return frame.astype(np.uint8)
