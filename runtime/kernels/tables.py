"""The smoothing matrices, cut to the band that is not zero, as the post-processing kernel reads them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.scoring import smoothing_matrix

ROW_GROUP = 8
"""Map rows that one warp makes at a time."""

Band = tuple[NDArray[np.int32], NDArray[np.float32]]


def row_band(cells: int, pixels: int, sigma: float) -> Band:
    """For each group of ROW_GROUP map rows the first cell it touches, ``(groups,)``, and its weights.

    Returns:
        ``(groups,)`` int32 and ``(groups, taps, ROW_GROUP)`` float32, zero beyond the last row; ``taps`` is the most
        cells that any group touches.
    """
    matrix = smoothing_matrix(cells, pixels, sigma)
    groups = -(-pixels // ROW_GROUP)
    padded = np.zeros((groups * ROW_GROUP, cells), np.float32)
    padded[:pixels] = matrix
    grouped = padded.reshape(groups, ROW_GROUP, cells)
    first, taps = _extent((grouped != 0).any(axis=1))
    weights = np.stack([group[:, start : start + taps].T for group, start in zip(grouped, first, strict=True)])
    return first, np.ascontiguousarray(weights)


def column_band(cells: int, pixels: int, sigma: float) -> Band:
    """For each map column the first cell it touches, ``(pixels,)`` int32, and its weights, ``(taps, pixels)``."""
    matrix = smoothing_matrix(cells, pixels, sigma)
    first, taps = _extent(matrix != 0)
    weights = np.stack([row[start : start + taps] for row, start in zip(matrix, first, strict=True)], axis=1)
    return first, np.ascontiguousarray(weights)


def panel_groups(first: NDArray[np.int32], taps: int, limit: int) -> int:
    """The most groups (a power of two up to 32) whose cells span at most ``limit``; 0 when not even one does."""
    for groups in (32, 16, 8, 4, 2, 1):
        starts = first[::groups]
        ends = np.append(first[groups - 1 :: groups], first[-1])[: len(starts)] + taps
        if (ends - starts).max() <= limit:
            return groups
    return 0


def _extent(used: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """First used cell of each line, moved left where the widest line's taps would leave the grid; and those taps."""
    first = used.argmax(axis=1)
    last = used.shape[1] - used[:, ::-1].argmax(axis=1)
    taps = int((last - first).max())
    return np.minimum(first, used.shape[1] - taps).astype(np.int32), taps
