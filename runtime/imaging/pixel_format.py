"""What cameras give to what pre-processing takes: colour filters, chroma planes, the order of red and blue.

OpenCV's ``cvtColor`` is the one definition. The CUDA kernels read these formats as they are, and are held to this.

========================  ======================  ==========================================================
format                    array                   pixels
========================  ======================  ==========================================================
``bgr8``, ``rgb8``        ``(H, W, 3)`` uint8     three values
``bgr16``, ``rgb16``      ``(H, W, 3)`` uint16    three values, as many significant bits as the model's ``bits``
``gray8``, ``gray16``     ``(H, W)``              one value; also ``(H, W, 1)``
``bayer_rggb8`` and kin   ``(H, W)`` uint8        one value under a 2x2 colour filter; even sides
``nv12``                  ``(3 H / 2, W)`` uint8  H rows of luma, then H / 2 of interleaved chroma (BT.601, limited
                                                  range); even sides
========================  ======================  ==========================================================
"""

from __future__ import annotations

from typing import Any, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import FrameError, UsageError
from edgeirf.settings import PixelFormat

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

PIXEL_FORMATS: tuple[PixelFormat, ...] = get_args(PixelFormat)
SMALLEST_RAW = 4
"""Pixels a side of the smallest Bayer or NV12 frame."""

_GUESSED: dict[tuple[int, int], PixelFormat] = {(1, 1): "gray8", (3, 1): "bgr8", (1, 2): "gray16", (3, 2): "bgr16"}
_TO_BGR: dict[PixelFormat, int] = {
    "rgb8": cv2.COLOR_RGB2BGR,
    "rgb16": cv2.COLOR_RGB2BGR,
    "bayer_rggb8": cv2.COLOR_BayerBG2BGR,  # OpenCV names a filter by the second and third pixel of its second row
    "bayer_grbg8": cv2.COLOR_BayerGB2BGR,
    "bayer_gbrg8": cv2.COLOR_BayerGR2BGR,
    "bayer_bggr8": cv2.COLOR_BayerRG2BGR,
    "nv12": cv2.COLOR_YUV2BGR_NV12,
}


def is_raw(pixel_format: PixelFormat) -> bool:
    """Whether colours are spread over several pixels: Bayer and NV12."""
    return pixel_format == "nv12" or pixel_format.startswith("bayer")


def check_frame(frame: Pixels, pixel_format: PixelFormat | None = None) -> PixelFormat:
    """The pixel format of a frame that can be inspected.

    Args:
        frame: see the table above.
        pixel_format: None takes BGR or gray of 8 or 16 bits, by the array's shape and type.

    Raises:
        FrameError: the array is not one of that format.
        UsageError: there is no such format.
    """
    if not isinstance(frame, np.ndarray) or frame.dtype not in (np.uint8, np.uint16):
        kind = getattr(frame, "dtype", type(frame).__name__)
        raise FrameError(f"a frame is a uint8 or uint16 array, not {kind}")
    if frame.ndim not in (2, 3) or (frame.ndim == 3 and frame.shape[2] not in (1, 3)) or frame.size == 0:
        raise FrameError(f"a frame is (H, W), (H, W, 1) or (H, W, 3) BGR, not {frame.shape}")
    channels = frame.shape[2] if frame.ndim == 3 else 1
    if pixel_format is None:
        return _GUESSED[channels, frame.itemsize]
    check_name(pixel_format)
    wanted = (3 if pixel_format[:3] in ("bgr", "rgb") else 1, 2 if pixel_format.endswith("16") else 1)
    if (channels, frame.itemsize) != wanted:
        raise FrameError(
            f"a {pixel_format} frame has {wanted[0]} value{'s' * (wanted[0] > 1)} of {8 * wanted[1]} bits a pixel, "
            f"not {channels} of {8 * frame.itemsize}"
        )
    if is_raw(pixel_format):
        check_sides(frame_size(frame, pixel_format), pixel_format, whole=frame.shape[0] % 3 == 0)
    return pixel_format


def check_name(name: str) -> PixelFormat:
    """Passes the name of a format.

    Raises:
        UsageError: there is no such format.
    """
    for known in PIXEL_FORMATS:
        if name == known:
            return known
    raise UsageError(f"there is no pixel format {name!r}: choose one of {', '.join(PIXEL_FORMATS)}")


def check_sides(size: tuple[int, int], pixel_format: PixelFormat, whole: bool = True) -> None:
    """Passes ``(height, width)`` of a Bayer or NV12 frame.

    Args:
        size: in pixels.
        pixel_format: one of them.
        whole: for NV12, that the rows of the array are three halves of a height.

    Raises:
        FrameError: odd, too small, or not of that format.
    """
    height, width = size
    if pixel_format == "nv12" and not whole:
        raise FrameError("an nv12 frame is (3 H / 2, W): H rows of luma, then H / 2 rows of chroma")
    if height % 2 or width % 2 or min(size) < SMALLEST_RAW:
        raise FrameError(
            f"a {pixel_format} frame has even sides of at least {SMALLEST_RAW} pixels, not {width}x{height}"
        )


def frame_size(frame: Pixels, pixel_format: PixelFormat | None) -> tuple[int, int]:
    """``(height, width)`` in pixels of a checked frame."""
    rows, columns = frame.shape[:2]
    return (rows * 2 // 3, columns) if pixel_format == "nv12" else (rows, columns)


def frame_shape(size: tuple[int, int], pixel_format: PixelFormat) -> tuple[int, ...]:
    """The array's shape for ``(height, width)`` pixels."""
    height, width = size
    if pixel_format[:3] in ("bgr", "rgb"):
        return height, width, 3
    return (height * 3 // 2, width) if pixel_format == "nv12" else (height, width)


def to_bgr(frame: Pixels, pixel_format: PixelFormat | None = None) -> Pixels:
    """A checked frame as ``(H, W, 3)`` BGR or ``(H, W[, 1])`` gray; the frame itself where it is that already."""
    if pixel_format not in _TO_BGR:
        return frame
    converted: NDArray[Any] = cv2.cvtColor(frame, _TO_BGR[pixel_format])
    return converted


def from_bgr(picture: NDArray[np.uint8], pixel_format: PixelFormat) -> Pixels:
    """A picture as a camera of another format would give it, for benchmarks and tests.

    Args:
        picture: ``(H, W, 3)`` BGR; for Bayer and NV12 an odd last row or column is cut off.
        pixel_format: 16 bits are filled.
    """
    if is_raw(pixel_format):
        picture = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
    if pixel_format == "nv12":
        height, width = picture.shape[:2]
        planes = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
        chroma = planes[height:].reshape(2, height // 2, width // 2).transpose(1, 2, 0)
        return np.concatenate([planes[:height], chroma.reshape(height // 2, width)])
    if pixel_format.startswith("bayer"):
        mosaic = np.empty(picture.shape[:2], np.uint8)
        for index, colour in enumerate(pixel_format[6:10]):
            corner = (slice(index // 2, None, 2), slice(index % 2, None, 2))
            mosaic[corner] = picture[(*corner, "bgr".index(colour))]
        return mosaic
    converted: NDArray[Any] = picture
    if pixel_format.startswith("gray"):
        converted = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    elif pixel_format.startswith("rgb"):
        converted = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return converted.astype(np.uint16) * 257 if pixel_format.endswith("16") else converted
