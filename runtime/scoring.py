"""Residual field to anomaly map, image score and regions: the one definition of a score."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.settings import Scoring
from edgeirf.verdict import Region

Array = NDArray[np.float32]

_ONE_THREAD = 2**18
"""Multiplications up to which OpenBLAS wakes no other threads (its interface/gemm.c). Waiting for them when the cores
are busy took 40 ms where the product takes 0.2 ms."""


@dataclass(frozen=True)
class Scored:
    """Image score, map ``(H, W)`` float32 at network resolution, and the map's largest value.

    Attributes:
        scale: what says most where the part is most unusual; None where channels have no names.
    """

    score: float
    peak: float
    map: Array
    scale: str | None = None


def score_field(field: Array, scoring: Scoring, size: tuple[int, int], tiles: tuple[int, int]) -> Scored:
    """Scores the whitened field of one frame.

    Args:
        field: ``(rows * columns, C, h, w)`` float32, the network's output for each tile.
        scoring: density, smoothing and image score.
        size: ``(height, width)`` of the network input of one tile; the map has that resolution.
        tiles: ``(rows, columns)``.
    """
    grid = stitch(density(field, scoring), tiles)
    smooth = smooth_upsample(grid, (size[0] * tiles[0], size[1] * tiles[1]), scoring.sigma)
    peak = float(smooth.max())
    return Scored(_image_score(field, smooth, peak, scoring), peak, smooth, deciding_scale(field, scoring.scales))


def deciding_scale(field: Array, scales: tuple[str, ...]) -> str | None:
    """Name of the largest channel at the position where the sum of squares of all channels is largest.

    Args:
        field: ``(T, C, h, w)``.
        scales: names of the channels; another number than C gives None.
    """
    if len(scales) != field.shape[1]:
        return None
    squares = np.square(field)
    sums = squares.sum(1)
    tile, row, column = np.unravel_index(int(sums.argmax()), sums.shape)
    return scales[int(squares[tile, :, row, column].argmax())]


def density(field: Array, scoring: Scoring) -> Array:
    """``(T, C, h, w)`` to ``(T, h, w)``: half the sum of squares over channels, or its root; summed in float32."""
    squares: Array = np.einsum("tchw,tchw->thw", field, field)
    return 0.5 * squares if scoring.density == "nll" else np.sqrt(squares)


def stitch(tiled: Array, tiles: tuple[int, int]) -> Array:
    """``(rows * columns, h, w)`` to ``(rows * h, columns * w)``."""
    rows, columns = tiles
    _, h, w = tiled.shape
    return tiled.reshape(rows, columns, h, w).swapaxes(1, 2).reshape(rows * h, columns * w)


def smooth_upsample(grid: Array, size: tuple[int, int], sigma: float) -> Array:
    """Bilinear upsampling to ``size``, then Gaussian smoothing: both linear and separable, so one matrix a side."""
    rows = smoothing_matrix(grid.shape[0], size[0], sigma)
    columns = smoothing_matrix(grid.shape[1], size[1], sigma)
    return _product(_product(rows, grid), columns.T)


def _product(left: Array, right: Array) -> Array:
    """``left @ right`` in blocks of rows that OpenBLAS multiplies on the calling thread; same values."""
    product = np.empty((len(left), right.shape[1]), np.float32)
    step = max(1, _ONE_THREAD // right.size)
    for row in range(0, len(left), step):
        np.matmul(left[row : row + step], right, out=product[row : row + step])
    return product


@lru_cache(maxsize=32)
def smoothing_matrix(cells: int, pixels: int, sigma: float) -> Array:
    """``(pixels, cells)`` float32: bilinear upsampling followed by Gaussian smoothing along one axis.

    Upsampling has half-pixel centres and repeats the edge cells; the Gaussian is cut at 4 sigma, sums to 1, and
    repeats the edge pixels.
    """
    centres = (np.arange(pixels) + 0.5) * cells / pixels - 0.5
    left = np.floor(centres).astype(int)
    upsample = np.zeros((pixels, cells))
    for offset, weight in ((0, 1 - (centres - left)), (1, centres - left)):
        np.add.at(upsample, (np.arange(pixels), np.clip(left + offset, 0, cells - 1)), weight)
    radius = int(np.ceil(4 * sigma))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-9)) ** 2)
    taps /= taps.sum()
    shifted = np.clip(np.arange(pixels)[:, None] + np.arange(-radius, radius + 1), 0, pixels - 1)
    matrix: Array = np.einsum("k,pkc->pc", taps, upsample[shifted]).astype(np.float32)
    matrix.setflags(write=False)
    return matrix


def find_regions(scored_map: Array, threshold: float, area: tuple[int, int, int, int]) -> tuple[Region, ...]:
    """Connected areas (8-neighbours) of the map above ``threshold``, largest peak first.

    Equal peaks come in the order of their first pixel, row by row, as on the GPU and in other languages.

    Args:
        scored_map: ``(H, W)`` map at network resolution.
        threshold: map values strictly above it belong to a region.
        area: ``(x, y, width, height)`` in frame pixels that the map covers.
    """
    mask = (scored_map > threshold).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    found = []
    for label in range(1, count):
        x, y, width, height, pixels = (int(v) for v in stats[label])
        window = (slice(y, y + height), slice(x, x + width))
        inside = labels[window] == label
        peak = float(scored_map[window][inside].max())
        region = region_in_frame((x, y, width, height), pixels, peak, mask.shape, area)
        found.append((-peak, y, x + int(inside[0].argmax()), region))
    return tuple(region for *_, region in sorted(found, key=lambda one: one[:3]))


def region_in_frame(
    box: tuple[int, int, int, int],
    pixels: int,
    peak: float,
    map_size: tuple[int, ...],
    area: tuple[int, int, int, int],
) -> Region:
    """A region of the map in pixels of the frame; its box covers every frame pixel that the region touches.

    Args:
        box: ``(x, y, width, height)`` in map pixels.
        pixels: map pixels above the threshold.
        peak: largest map value.
        map_size: ``(height, width)`` of the map.
        area: ``(x, y, width, height)`` in frame pixels that the map covers.
    """
    x, width = _outward(box[0], box[2], map_size[1], area[2])
    y, height = _outward(box[1], box[3], map_size[0], area[3])
    cover = max(1, round(pixels * area[2] * area[3] / (map_size[0] * map_size[1])))
    return Region(area[0] + x, area[1] + y, width, height, cover, peak)


def _outward(start: int, length: int, size: int, frame_size: int) -> tuple[int, int]:
    first = start * frame_size // size
    return first, -(-(start + length) * frame_size // size) - first


def latent_statistics(field: Array, smooth: Array) -> tuple[float, float]:
    """InvAD's two terms: negative log-likelihood of the latent under N(0, I), nats per value; max - min of the map."""
    return 0.5 * float(np.mean(np.square(field), dtype=np.float64)), float(smooth.max() - smooth.min())


def _image_score(field: Array, smooth: Array, peak: float, scoring: Scoring) -> float:
    if scoring.latent is not None:
        nll, spread = latent_statistics(field, smooth)
        nll_mean, nll_std, spread_mean, spread_std = scoring.latent
        return (nll - nll_mean) / nll_std + (spread - spread_mean) / spread_std
    if scoring.top_k == 1:
        return peak
    flat = smooth.ravel()
    return float(np.mean(np.partition(flat, -min(scoring.top_k, flat.size))[-scoring.top_k :], dtype=np.float64))
