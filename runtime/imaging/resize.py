"""Means over areas, exactly: pixels that do not depend on how a processor rounds.

This is ``cv2.INTER_AREA``, but for means that lie half-way between two numbers or next to it. There OpenCV rounds by
the errors of its float32 sums: at 640x480 to 320x320 a pixel in 80 comes out one gray level off. In the small model of
the tests such pixels were worth 0.2 % of a score, and more with INT8. Here means are rounded to the nearest number, and
to the even one when half-way (in OpenCV's 2x2 case, which is exact, up).

A mean of whole numbers is a whole number of 1 / shares, where ``shares`` is how many equal parts the pixels cut an area
into. Where that is large and the frame is too, checking would cost more than it is worth, and a pixel in some ten
thousand may still be a level off; so may pixels of 16 bits, whose levels are fine.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.imaging.pixel_format import Pixels

_FEW_SHARES = {8: 1024, 16: 64}
"""Up to so many, OpenCV's float32 weights distinguish whole numbers of 1 / shares."""

_SMALL = 2**20
"""Values of a tile up to which doubtful pixels are looked at again."""

_DOUBT = 2e-3
"""Means of 8-bit pixels this close to half-way are looked at again: well above what float32 sums of them err by."""


def resize(tile: Pixels, size: tuple[int, int]) -> Pixels:
    """Means over areas; bilinear, as OpenCV has it, where the tile is smaller than ``size``.

    Args:
        tile: ``(H, W[, 3])``.
        size: ``(width, height)``.
    """
    bits: Literal[8, 16] = 8 if tile.dtype == np.uint8 else 16
    way = _way(tile.shape[1], tile.shape[0], *size, bits)
    if way == "opencv" or (way == "look again" and tile.size > _SMALL):
        small: NDArray[Any] = cv2.resize(tile, size, interpolation=cv2.INTER_AREA)
        return small
    tile = tile[..., 0] if tile.ndim == 3 and tile.shape[2] == 1 else tile  # OpenCV gives back no axis of one channel
    means = cv2.resize(tile.astype(np.float32 if bits == 8 else np.float64), size, interpolation=cv2.INTER_AREA)
    if way == "whole numbers":
        shares = _shares(tile.shape[1], tile.shape[0], *size)
        exact = np.rint(np.rint(means.astype(np.float64) * shares) / shares)
    else:
        exact = np.rint(means)
        doubtful = np.abs(means - np.floor(means) - 0.5) < _DOUBT
        exact[doubtful] = _means_at(tile, size, np.nonzero(doubtful))
    return exact.astype(np.uint8) if bits == 8 else exact.astype(np.uint16)


@lru_cache(maxsize=64)
def _way(
    width: int, height: int, columns: int, rows: int, bits: Literal[8, 16]
) -> Literal["opencv", "whole numbers", "look again"]:
    """How means of this geometry come out exact: by OpenCV alone, as whole numbers of shares, or pixel by pixel."""
    shares = _shares(width, height, columns, rows)
    if width < columns or height < rows:
        return "opencv"
    if shares > _FEW_SHARES[bits]:
        return "look again" if bits == 8 else "opencv"
    if shares % 2:  # no mean is half-way
        return "opencv"
    if width % columns or height % rows:
        return "whole numbers"
    if (width, height) == (2 * columns, 2 * rows):
        return "opencv"
    # Whole numbers of pixels: OpenCV multiplies their exact sum by a float32.
    ties = shares * (np.arange(2**bits - 1) + 0.5)
    rounds_well = (np.rint(ties.astype(np.float32) * np.float32(1 / shares)) == np.rint(ties / shares)).all()
    return "opencv" if rounds_well else "whole numbers"


def _shares(width: int, height: int, columns: int, rows: int) -> int:
    return (width // math.gcd(width, columns)) * (height // math.gcd(height, rows))


def _means_at(tile: Pixels, size: tuple[int, int], where: tuple[NDArray[np.intp], ...]) -> NDArray[np.int64]:
    """The means of a few pixels in whole numbers: rows, columns and, of a colour tile, channels ``where`` they are."""
    (height, width), (columns, rows) = tile.shape[:2], size
    sums = np.zeros(len(where[0]), np.int64)
    for y, down in _overlaps(where[0], height, rows):
        for x, across in _overlaps(where[1], width, columns):
            sums += down * across * tile[(y, x, *where[2:])]
    whole, rest = np.divmod(sums, height * width)
    rounded: NDArray[np.int64] = whole + (
        (2 * rest > height * width) | ((2 * rest == height * width) & (whole % 2 == 1))
    )
    return rounded


def _overlaps(outputs: NDArray[np.intp], inputs: int, count: int) -> list[tuple[NDArray[np.intp], NDArray[np.int64]]]:
    """Source after source along one axis: its index for each output, and how much of it the output covers.

    Output i of ``count`` covers sources from ``i * inputs`` to ``(i + 1) * inputs`` in units of 1 / count.
    """
    begin = outputs.astype(np.int64) * inputs
    pairs = []
    for step in range(inputs // count + 2):
        source = begin // count + step
        cover = np.minimum(begin + inputs, (source + 1) * count) - np.maximum(begin, source * count)
        pairs.append((np.minimum(source, inputs - 1).astype(np.intp), np.maximum(cover, 0)))
    return pairs
