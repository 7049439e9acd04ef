"""Camera frame to network input: the one definition that training, calibration and the line share.

``prepare`` does what changes pixels (region of interest, tiles, area resize, luminance) and keeps the camera's
integer type; ``normalise`` does the arithmetic. The CUDA kernel is a second implementation, held to this one. Raw
cameras' pixels come through :mod:`edgeirf.runtime.imaging.pixel_format` first.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import FrameError
from edgeirf.runtime.imaging.pixel_format import Pixels, check_frame
from edgeirf.runtime.imaging.resize import resize
from edgeirf.settings import Preprocess


def prepare(frame: Pixels, settings: Preprocess) -> Pixels:
    """Cuts and resizes a frame.

    The resize averages areas and rounds to the frame's own integer type; see :mod:`edgeirf.runtime.imaging.resize`.

    Args:
        frame: ``(H, W, 3)`` BGR, ``(H, W)`` or ``(H, W, 1)`` gray; uint8 or uint16.

    Returns:
        ``(tiles, height, width, 3)`` RGB of the frame's type, C-contiguous; gray is repeated three times.

    Raises:
        FrameError: another shape or type, or a frame that does not cover the region of interest.
    """
    check_frame(frame)
    height, width = settings.size
    tiles = cut(crop(frame, settings), settings.tiles)
    prepared = np.empty((len(tiles), height, width, 3), frame.dtype)
    for out, tile in zip(prepared, tiles, strict=True):
        _to_rgb(resize(tile, (width, height)), settings, out)
    return prepared


def normalise(prepared: Pixels, settings: Preprocess) -> NDArray[np.float32]:
    """``(T, height, width, 3)`` RGB pixels to the network's ``(T, 3, height, width)`` float32 input.

    A value v becomes (v / white - mean) / std with white = 255 for uint8 and 2^bits - 1 for uint16.
    """
    white = 255.0 if prepared.dtype == np.uint8 else 2.0**settings.bits - 1.0
    std = np.asarray(settings.std, np.float64)
    scale = (1.0 / (white * std)).astype(np.float32)
    offset = (-np.asarray(settings.mean, np.float64) / std).astype(np.float32)
    planes = np.ascontiguousarray(prepared.transpose(0, 3, 1, 2)).astype(np.float32)
    planes *= scale[:, None, None]
    planes += offset[:, None, None]
    return planes


def inspected_area(shape: tuple[int, ...], settings: Preprocess) -> tuple[int, int, int, int]:
    """``(x, y, width, height)`` in frame pixels of what is inspected of a frame of ``shape``.

    Raises:
        FrameError: the frame does not cover the region of interest.
    """
    frame_height, frame_width = shape[:2]
    x, y, width, height = settings.roi or (0, 0, frame_width, frame_height)
    if x + width > frame_width or y + height > frame_height:
        raise FrameError(
            f"the frame is {frame_width}x{frame_height} pixels and does not cover the region of interest "
            f"{width}x{height} at {x},{y}: set the camera to the resolution the model was trained with"
        )
    return x, y, width, height


def smallest_frame(settings: Preprocess) -> tuple[int, int]:
    """``(height, width)`` of the smallest frame that covers the region of interest; without one, the network's size."""
    rows, columns = settings.tiles
    x, y, width, height = settings.roi or (0, 0, settings.size[1] * columns, settings.size[0] * rows)
    return y + height, x + width


def crop(frame: Pixels, settings: Preprocess) -> Pixels:
    """A view of the region of interest."""
    x, y, width, height = inspected_area(frame.shape, settings)
    return frame[y : y + height, x : x + width]


def cut(image: Pixels, tiles: tuple[int, int]) -> list[Pixels]:
    """Views of the tiles, row by row; tile i of n covers rows i * H // n up to (i + 1) * H // n.

    Raises:
        FrameError: the image has fewer pixels than tiles.
    """
    rows, columns = tiles
    height, width = image.shape[:2]
    if height < rows or width < columns:
        raise FrameError(f"{width}x{height} pixels cannot be cut into {columns}x{rows} tiles")
    return [
        image[i * height // rows : (i + 1) * height // rows, j * width // columns : (j + 1) * width // columns]
        for i in range(rows)
        for j in range(columns)
    ]


def _to_rgb(small: NDArray[Any], settings: Preprocess, out: Pixels) -> None:
    if small.ndim == 3 and settings.color == "gray":
        small = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    cv2.cvtColor(small, cv2.COLOR_GRAY2RGB if small.ndim == 2 else cv2.COLOR_BGR2RGB, dst=out)
