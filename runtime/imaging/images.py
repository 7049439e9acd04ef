"""Image files to frames: the one way training, evaluation and the line read them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import FrameError, SourceError
from edgeirf.runtime.imaging.image_header import read_header
from edgeirf.runtime.imaging.pixel_format import Pixels

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
MAX_FILE = 2 * 1024**3
"""Bytes."""
MAX_PIXELS = 2**28
"""268 megapixels: larger than any sensor on a line, small enough that a decompression bomb does no harm."""


def read_image(path: str | os.PathLike[str]) -> Pixels:
    """Reads a JPEG, PNG, BMP or TIFF file, known by its content.

    The result is what ``cv2.imread(path)`` shows, EXIF orientation applied, but gray stays gray and 16 bits stay 16,
    so that ``detector(cv2.imread(path))`` and ``edgeirf run --camera path`` see the same part. Alpha is blended over
    black (such files get no EXIF orientation). Of several pages the first is read.

    Returns:
        ``(H, W, 3)`` BGR or ``(H, W)`` gray; uint8 or uint16.

    Raises:
        FrameError: unreadable, cut short, too large, or of floating-point or signed pixels.
    """
    try:
        if os.stat(path).st_size > MAX_FILE:
            raise FrameError(f"{path}: is larger than {MAX_FILE >> 30} GiB")
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise FrameError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        return decode_image(data)
    except FrameError as error:
        raise FrameError(f"{path}: {error}") from None


def decode_image(data: bytes) -> Pixels:
    """The frame in the bytes of an image file; see :func:`read_image`."""
    header = read_header(data)
    if not 0 < header.width * header.height <= MAX_PIXELS:
        raise FrameError(f"has {header.width}x{header.height} pixels; between 1 and {MAX_PIXELS} can be read")
    flags = cv2.IMREAD_UNCHANGED if header.alpha else cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
    try:
        decoded: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise FrameError("cannot be decoded: damaged, cut short, or a variant that OpenCV does not read")
    if decoded.dtype not in (np.uint8, np.uint16):
        raise FrameError(f"has {decoded.dtype} pixels: save it with 8 or 16 bits, unsigned")
    if decoded.ndim == 3 and decoded.shape[2] == 4:
        return blend_over_black(decoded)
    return decoded


def blend_over_black(image: NDArray[Any]) -> Pixels:
    """``(H, W, 4)`` BGRA, uint8 or uint16, to ``(H, W, 3)``: colour times alpha, rounded."""
    white = np.iinfo(image.dtype).max
    blended = image[..., :3].astype(np.uint32) * image[..., 3:] + white // 2
    result: Pixels = (blended // white).astype(image.dtype)
    return result


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """The image files directly in ``folder``, by suffix, in natural order (``2.png`` before ``10.png``).

    Hidden files are left out.

    Raises:
        SourceError: there is no such folder, or it cannot be read.
    """
    try:
        paths = [path for path in Path(folder).iterdir() if is_image(path)]
    except OSError as error:
        raise SourceError(f"cannot read the folder {folder}: {error.strerror or error}") from None
    return sorted(paths, key=natural_key)


def is_image(path: Path) -> bool:
    """Whether the name is that of an image file, and not a hidden one."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def natural_key(path: Path) -> tuple[list[tuple[str, int]], str]:
    """Sort key under which numbers in names count as numbers; equal ones fall back on the plain text."""
    parts = re.findall(r"(\D*)(\d*)", str(path))
    return [(text.casefold(), int(digits or -1)) for text, digits in parts], str(path)
