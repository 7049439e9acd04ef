"""What the kernels must compute, written out plainly: whole numbers for pixels, float64 for scores."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.imaging.pixel_format import frame_shape
from edgeirf.runtime.imaging.preprocess import crop, cut
from edgeirf.runtime.kernels import FORMATS, PixelFormat
from edgeirf.settings import Preprocess, Scoring

Integers = NDArray[np.int64]
Array = NDArray[Any]


def random_frame(pixel_format: PixelFormat, height: int, width: int, seed: int = 0) -> Array:
    """A frame in the camera's layout: ``(H, W[, 3])``, for NV12 ``(3 H / 2, W)``."""
    itemsize = FORMATS[pixel_format].itemsize
    shape, dtype = frame_shape((height, width), pixel_format), np.uint8 if itemsize == 1 else np.uint16
    return np.random.default_rng(seed).integers(0, 2 ** (8 * itemsize), shape, dtype=dtype)


def pitched(frame: Array, pitch: int) -> NDArray[np.uint8]:
    """The frame's bytes with ``pitch`` bytes a row."""
    rows = np.ascontiguousarray(frame).reshape(frame.shape[0], -1).view(np.uint8)
    padded = np.full((rows.shape[0], pitch), 0xEE, np.uint8)
    padded[:, : rows.shape[1]] = rows
    return padded


def demosaic(mosaic: Array, order: int) -> Integers:
    """Bilinear demosaicing to ``(H, W, 3)`` BGR: means of the two or four nearest, rounded half up; see sources.cuh."""
    padded = np.pad(mosaic.astype(np.int64), 1)
    height, width = mosaic.shape

    def near(down: int, right: int) -> Integers:
        return padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]

    y, x = np.mgrid[:height, :width]
    red_row, red_column = y % 2 == order // 2, x % 2 == order % 2
    cross = (near(-1, 0) + near(1, 0) + near(0, -1) + near(0, 1) + 2) // 4
    corners = (near(-1, -1) + near(-1, 1) + near(1, -1) + near(1, 1) + 2) // 4
    across, along = (near(0, -1) + near(0, 1) + 1) // 2, (near(-1, 0) + near(1, 0) + 1) // 2
    own, red, blue = near(0, 0), red_row & red_column, ~red_row & ~red_column
    planes = [
        np.where(blue, own, np.where(red, corners, np.where(red_row, along, across))),
        np.where(red | blue, cross, own),
        np.where(red, own, np.where(blue, corners, np.where(red_row, across, along))),
    ]
    image = np.stack(planes, axis=-1)
    image[:, [0, -1]] = image[:, [1, -2]]
    image[[0, -1]] = image[[1, -2]]
    return image


def nv12_to_bgr(planes: Array) -> Integers:
    """BT.601, limited range, in 20-bit fixed point; ``(3 H / 2, W)`` to ``(H, W, 3)``."""
    height = planes.shape[0] * 2 // 3
    luma = np.maximum(planes[:height].astype(np.int64) - 16, 0) * 1220542 + 2**19
    chroma = planes[height:].astype(np.int64).reshape(height // 2, -1, 2) - 128
    blue, red = (chroma[..., i].repeat(2, axis=0).repeat(2, axis=1) for i in (0, 1))
    scaled = [luma + 2116026 * blue, luma - 409993 * blue - 852492 * red, luma + 1673527 * red]
    return np.clip(np.stack(scaled, axis=-1) >> 20, 0, 255)


def area_means(image: Array, size: tuple[int, int]) -> Integers:
    """Exact means over areas, ``image`` at least as large as ``size``; ties to even, up where both sides are halved."""
    rows, columns = (_coverage(inputs, outputs) for inputs, outputs in zip(image.shape[:2], size, strict=True))
    pixels = image.astype(np.int64).reshape(*image.shape[:2], -1)
    sums = np.einsum("is,swc,jw->ijc", rows, pixels, columns, optimize=True)
    count = image.shape[0] * image.shape[1]
    whole, rest = np.divmod(sums, count)
    ties_up = (image.shape[0], image.shape[1]) == (2 * size[0], 2 * size[1])
    up = (2 * rest > count) | ((2 * rest == count) & (ties_up | (whole % 2 == 1)))
    return (whole + up).reshape(*size, *image.shape[2:])


def expected_input(bgr: Array, settings: Preprocess) -> NDArray[np.float32]:
    """The network's input after exact area means; the tiles must be at least as large as the input."""
    white = 255.0 if bgr.dtype == np.uint8 else 2.0**settings.bits - 1.0
    out = []
    for tile in cut(crop(bgr, settings), settings.tiles):
        small = area_means(tile, settings.size).astype(bgr.dtype)
        if small.ndim == 3 and settings.color == "gray":
            small = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        rgb = small[..., ::-1] if small.ndim == 3 else np.repeat(small[..., None], 3, axis=2)
        scale = (1 / (white * np.asarray(settings.std))).astype(np.float32)
        offset = (-np.asarray(settings.mean) / np.asarray(settings.std)).astype(np.float32)
        out.append((rgb.astype(np.float32) * scale + offset).transpose(2, 0, 1))
    return np.stack(out)


def expected_map(field: Array, scoring: Scoring, tiles: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float64]:
    """The anomaly map in float64: density, bilinear upsampling, Gaussian with repeated edges."""
    squares = np.square(field.astype(np.float64)).sum(axis=1)
    density = np.sqrt(squares) if scoring.density == "norm" else 0.5 * squares
    rows, columns = tiles
    grid = density.reshape(rows, columns, *density.shape[1:]).swapaxes(1, 2).reshape(rows * field.shape[2], -1)
    for axis, pixels in enumerate((rows * size[0], columns * size[1])):
        grid = np.apply_along_axis(_upsample_and_smooth, axis, grid, pixels, scoring.sigma)
    return grid


def gap_near(values: NDArray[np.float64], share: float) -> float:
    """A threshold that ``share`` of the values exceed, in the widest gap around there: rounding cannot cross it."""
    ordered = np.sort(values.ravel())
    middle = int(len(ordered) * (1 - share))
    reach = max(len(ordered) // 20, 1)
    low = max(middle - reach, 0)
    near = ordered[low : middle + reach + 1]
    widest = int(np.diff(near).argmax())
    return float((near[widest] + near[widest + 1]) / 2)


def _coverage(inputs: int, outputs: int) -> Integers:
    """``(outputs, inputs)``: how much of each input an output covers, in units of 1 / outputs."""
    begin, source = np.arange(outputs)[:, None] * inputs, np.arange(inputs)[None, :] * outputs
    return np.maximum(np.minimum(begin + inputs, source + outputs) - np.maximum(begin, source), 0)


def _upsample_and_smooth(line: NDArray[np.float64], pixels: int, sigma: float) -> NDArray[np.float64]:
    centres = (np.arange(pixels) + 0.5) * len(line) / pixels - 0.5
    fine = np.interp(centres, np.arange(len(line)), line)
    radius = int(np.ceil(4 * sigma))
    if not radius:
        return fine
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.convolve(np.pad(fine, radius, mode="edge"), taps / taps.sum(), mode="valid")
