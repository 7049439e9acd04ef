"""Image files to frames: the one way training, evaluation and the line read them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import FrameError
from edgeirf.files import sha256
from edgeirf.runtime.imaging.image_header import is_picture, read_header
from edgeirf.runtime.imaging.memory import largest_picture, memory_limit
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.text import printable

LARGEST_FILE = 2 * 1024**3
"""Bytes; less where the memory is small."""
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_image(path: str | os.PathLike[str]) -> Pixels:
    """Reads a picture file, known by its content; see :data:`edgeirf.runtime.imaging.image_header.FORMATS`.

    The result is what ``cv2.imread(path)`` shows, but gray stays gray and 16 bits stay 16, so that
    ``detector(cv2.imread(path))`` and ``edgeirf run --camera path`` see the same part. In particular: the orientation
    that the file asks for (EXIF, TIFF) is applied; transparency is ignored, the colours are taken as they are stored
    (an 8-bit TIFF whose colours are not multiplied with its alpha is blended over black, as libtiff does).

    Returns:
        ``(H, W, 3)`` BGR or ``(H, W)`` gray; uint8 or uint16.

    Raises:
        FrameError: no regular file, unreadable, cut short, too large, of several pictures, or of pixels that are not
            unsigned 8 or 16 bits.
    """
    with _named(path):
        return decode_image(_read(path))


@dataclass(frozen=True, eq=False)
class HashedImage:
    """A picture and the SHA-256 of its file, from the same bytes."""

    pixels: Pixels
    sha256: str


def read_hashed(path: str | os.PathLike[str]) -> HashedImage:
    """Reads a picture file once, for its pixels and its SHA-256; see :func:`read_image`."""
    with _named(path):
        data = _read(path)
        return HashedImage(decode_image(data), sha256(data))


@contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    shown = printable(path)
    try:
        yield
    except FrameError as error:
        raise FrameError(f"{shown}: {error}") from None
    except (OSError, ValueError) as error:
        raise FrameError(f"cannot read {shown}: {getattr(error, 'strerror', None) or error}") from None
    except MemoryError:
        raise FrameError(f"{shown}: the memory of this machine is not enough for it") from None


def read_start(path: str | os.PathLike[str], count: int = 64) -> bytes:
    """The first bytes of a regular file; none of anything else, which may block for ever.

    Raises:
        OSError: it is not there or cannot be read.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        return b""
    with open(path, "rb") as file:
        return file.read(count)


def decode_image(data: bytes) -> Pixels:
    """The frame in the bytes of an image file; see :func:`read_image`."""
    header, limit = read_header(data), largest_picture()
    if not 0 < header.width * header.height <= limit:
        raise FrameError(
            f"has {header.width}x{header.height} pixels; this machine's memory allows 1 to {limit / 1e6:.4g} million"
        )
    if header.pictures != 1:
        raise FrameError(f"holds {_pictures(header.pictures)}: a frame is one picture, save each as a file of its own")
    try:
        flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
        decoded: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from None
        decoded = None
    if decoded is None:
        raise FrameError("cannot be decoded: damaged, cut short, or a variant that OpenCV does not read")
    if decoded.dtype not in (np.uint8, np.uint16):
        raise FrameError(f"has {decoded.dtype} pixels: save it with 8 or 16 bits, unsigned")
    return np.invert(decoded) if header.inverted else decoded


def _read(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a regular file that starts like a picture; a file of another kind is not even opened."""
    about = os.stat(path)
    kind = _KINDS.get(stat.S_IFMT(about.st_mode))
    if kind is not None:
        raise FrameError(f"is {kind}, not a picture file")
    limit = min(LARGEST_FILE, memory_limit() // 4)
    with open(path, "rb") as file:
        start = file.read(64)
        if not is_picture(start):
            read_header(start)  # raises what is wrong with it
        if about.st_size > limit:
            raise FrameError(f"is larger than {limit >> 20} MiB, the most that this machine's memory allows")
        return start + file.read(limit)


def _pictures(count: int) -> str:
    return "no picture" if count == 0 else f"{count} or more pictures"
