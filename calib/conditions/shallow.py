"""Shallow features of a picture: light, colour, sharpness, noise and compression, in the cells of a grid.

They see how a picture was taken and stored, and hardly what it shows: no value looks further than a few pixels. So
they show whether two sets of pictures were taken alike.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.imaging.pixel_format import Pixels

Floats = NDArray[np.float64]

GRID = 16
"""Cells along each side."""
LEVELS = 3
"""Each twice as coarse as the one before."""
REACH = 12
"""Pixels: how far from a cell a value of it may look."""
_FLOOR = 0.05
"""Levels of 255: detail below it counts as none."""
_BLOCK = 8
"""Pixels: side of a JPEG block."""


def shallow_features(image: Pixels, bits: int = 16) -> Floats:
    """``(GRID, GRID, F)``: the mean of each feature in each cell.

    Features: brightness and two colour differences; logarithms of the mean absolute Laplacian, horizontal and vertical
    difference at three scales; of the chroma's detail; and of the steps at the borders of JPEG blocks against all
    others.

    Args:
        image: ``(H, W)``, ``(H, W, 1)`` or ``(H, W, 3)`` BGR; uint8 or uint16.
        bits: significant bits of a uint16 picture.
    """
    smallest = 2 * _BLOCK
    height, width = image.shape[:2]
    if min(height, width) < smallest:
        size = (max(width, smallest), max(height, smallest))
        image = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)  # type: ignore[assignment]
    planes = _planes(image, bits)
    luma: NDArray[Any] = np.ascontiguousarray(planes[..., 0])
    maps = [_cells(np.ascontiguousarray(planes[..., i])) for i in range(3)]
    for chroma in (1, 2):
        maps.append(_log_cells(cv2.Laplacian(np.ascontiguousarray(planes[..., chroma]), cv2.CV_32F)))
    maps += _blockiness(luma)
    for _ in range(LEVELS):
        maps += [
            _log_cells(cv2.Laplacian(luma, cv2.CV_32F)),
            _log_cells(luma[:, 1:] - luma[:, :-1]),
            _log_cells(luma[1:] - luma[:-1]),
        ]
        luma = cv2.pyrDown(luma)
    return np.stack(maps, axis=-1).astype(np.float64)


def _planes(image: Pixels, bits: int) -> NDArray[np.float32]:
    """``(H, W, 3)``: brightness, blue minus brightness, red minus brightness; levels of 255."""
    white = 255.0 if image.dtype == np.uint8 else 2.0**bits - 1.0
    values = image.astype(np.float32) * np.float32(255 / white)
    if values.ndim == 2 or values.shape[2] == 1:
        gray = values.reshape(values.shape[:2])
        return np.stack([gray, 0 * gray, 0 * gray], axis=-1)
    gray = np.asarray(cv2.cvtColor(values, cv2.COLOR_BGR2GRAY), np.float32)
    return np.stack([gray, values[..., 0] - gray, values[..., 2] - gray], axis=-1)


def _blockiness(luma: NDArray[np.float32]) -> list[NDArray[Any]]:
    """Steps across the borders of JPEG blocks against all others, along each axis."""
    found = []
    for axis in (0, 1):
        steps = np.abs(np.diff(luma, axis=axis))
        at_border = np.arange(steps.shape[axis]) % _BLOCK == _BLOCK - 1
        border, other = (steps.compress(which, axis=axis) for which in (at_border, ~at_border))
        found.append(_log_cells(border) - _log_cells(other))
    return found


def _log_cells(values: NDArray[Any]) -> NDArray[Any]:
    return np.log(_cells(np.abs(values)) + _FLOOR)


def _cells(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(cv2.resize(values, (GRID, GRID), interpolation=cv2.INTER_AREA))
