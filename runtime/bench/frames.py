"""Frames to measure with: good parts from the bundle itself, at the camera's size."""

from __future__ import annotations

from itertools import islice
from time import perf_counter

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import inspected_area, smallest_frame
from edgeirf.runtime.sources import open_source
from edgeirf.settings import PixelFormat


def golden_frames(bundle: Bundle, size: tuple[int, int] | None = None) -> list[NDArray[np.uint8]]:
    """The golden images as a camera would give them, ``(H, W, 3)`` BGR.

    Args:
        size: ``(height, width)`` of the camera; by default the smallest that covers the region of interest, or the
            network's own input.

    Raises:
        UsageError: the size does not cover the region of interest.
    """
    size = size or smallest_frame(bundle.manifest.preprocess)
    if min(size) < 1 or max(size) > 65535:
        raise UsageError(f"a camera has 1 to 65535 pixels a side, not {size[1]}x{size[0]}")
    return [_place(image, size, bundle) for image in bundle.golden["images"]]


def camera_frames(
    camera: str, count: int, keep: int = 8, pixel_format: PixelFormat | None = None
) -> tuple[list[Pixels], list[float]]:
    """The first frames of a camera, file, folder or ``test://``, and how long each one took to come.

    Args:
        camera: as ``edgeirf run --camera`` takes it.
        count: frames to read at most.
        keep: frames to keep, the first ones.
        pixel_format: what the frames are.

    Returns:
        Frames, and milliseconds from asking for a frame until it was in memory: a camera's own period included.

    Raises:
        SourceError: it cannot be opened, or gave no frame.
    """
    source = open_source(camera, pixel_format=pixel_format)
    frames: list[Pixels] = []
    waits: list[float] = []
    try:
        asked = perf_counter()
        for frame in islice(source, count):
            waits.append((perf_counter() - asked) * 1e3)
            if frame.image is not None and len(frames) < keep:
                frames.append(frame.image)
            asked = perf_counter()
    finally:
        source.close()
    if not frames:
        raise SourceError(f"{camera} gave no frame")
    return frames, waits


def _place(tiles: NDArray[np.generic], size: tuple[int, int], bundle: Bundle) -> NDArray[np.uint8]:
    settings = bundle.manifest.preprocess
    frame = np.full((*size, 3), 128, np.uint8)
    x, y, width, height = inspected_area(frame.shape, settings)
    rows, columns = settings.tiles
    _, h, w, _ = tiles.shape
    white = 255.0 if tiles.dtype == np.uint8 else 2.0**settings.bits - 1
    whole = tiles.reshape(rows, columns, h, w, 3).swapaxes(1, 2).reshape(rows * h, columns * w, 3)
    pixels = (whole[..., ::-1].astype(np.float32) * (255.0 / white)).astype(np.uint8)
    frame[y : y + height, x : x + width] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return frame
