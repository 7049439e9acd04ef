"""What an image file says of itself before it is decoded, and whether all of it is there.

OpenCV hands out half a picture, filled up with gray or, in 4.10 and 4.11, with the picture decoded before it
(opencv/opencv#26488), when a JPEG is cut short. A silently wrong frame is the worst a line can get, so the container
is walked first. Bits that flipped inside the compressed data of a JPEG or TIFF cannot be seen this way; PNG has
checksums, and they are checked.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from edgeirf.errors import FrameError

_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # after entropy-coded data: no stuffing, restart or fill bytes
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..SOF15 without DHT, JPG and DAC


@dataclass(frozen=True)
class ImageHeader:
    """Size in pixels, and whether the decoder hands out an alpha channel that is still to be blended."""

    width: int
    height: int
    alpha: bool = False


def read_header(data: bytes) -> ImageHeader:
    """Walks a JPEG, PNG, BMP or TIFF file.

    Raises:
        FrameError: another format, cut short, or damaged where the container can tell.
    """
    for magic, read in _FORMATS.items():
        if data.startswith(magic):
            try:
                return read(data)
            except (struct.error, IndexError, OverflowError):
                raise FrameError("is cut short") from None
    raise FrameError("is not a JPEG, PNG, BMP or TIFF image" if data else "is empty")


def _jpeg(data: bytes) -> ImageHeader:
    size, position = None, 2
    while True:
        if data[position] != 0xFF:
            raise FrameError("is damaged: not a JPEG marker where one must be")
        marker = data[position + 1]
        position += 1 if marker == 0xFF else 2
        if marker == 0xD9:
            break
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        (length,) = struct.unpack_from(">H", data, position)
        if marker in _JPEG_SIZES:
            size = struct.unpack_from(">HH", data, position + 3)
        position += length
        if marker == 0xDA:
            found = _JPEG_MARKER.search(data, position)
            if found is None:
                raise FrameError("is cut short: its end-of-image marker is missing")
            position = found.start()
    if size is None:
        raise FrameError("is a JPEG without an image")
    return ImageHeader(size[1], size[0])


def _png(data: bytes) -> ImageHeader:
    header, alpha, position, view = None, False, 8, memoryview(data)
    while True:
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(view[position + 4 : end]) != checksum:
            raise FrameError(f"is damaged: checksum of its {kind.decode('latin-1')} chunk")
        if kind == b"IHDR":
            header = struct.unpack_from(">IIBB", data, position + 8)
            alpha = header[3] in (4, 6)
        elif kind == b"tRNS" and header is not None:
            alpha = alpha or header[3] == 3
        elif kind == b"IEND":
            break
        position = end + 4
    if header is None:
        raise FrameError("is a PNG without an image")
    return ImageHeader(header[0], header[1], alpha)


def _bmp(data: bytes) -> ImageHeader:
    (header_size,) = struct.unpack_from("<I", data, 14)
    if header_size == 12:
        return ImageHeader(*struct.unpack_from("<HH", data, 18))
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    bitfields = header_size >= 56 and bits == 32 and compression == 3
    alpha = bitfields and struct.unpack_from("<I", data, 66)[0] != 0
    return ImageHeader(width, abs(height), alpha)


def _tiff(data: bytes) -> ImageHeader:
    order = "<" if data[:2] == b"II" else ">"
    tags = _tiff_tags(data, order, big=data[2:4] in (b"\x2b\x00", b"\x00\x2b"))
    samples, extra = tags.get(277, 1), tags.get(338)
    if samples == 2 and extra is not None:
        raise FrameError("is a gray TIFF with alpha, which OpenCV does not read: save it as PNG")
    # Eight-bit alpha has already been blended by libtiff, and associated alpha (1) by whoever wrote the file.
    return ImageHeader(tags.get(256, 0), tags.get(257, 0), alpha=extra == 2 and tags.get(258, 1) == 16)


def _tiff_tags(data: bytes, order: str, big: bool) -> dict[int, int]:
    """First value of each short or long tag of the first directory (TIFF 6.0, section 2; BigTIFF)."""
    offset = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
    count = struct.unpack_from(order + ("Q" if big else "H"), data, offset)[0]
    start, step = (offset + 8, 20) if big else (offset + 2, 12)
    tags = {}
    for entry in range(start, start + min(count, 4096) * step, step):
        tag, kind, values = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, entry)
        code = {3: "H", 4: "I", 16: "Q"}.get(kind)
        if code is None:
            continue
        inline = entry + (12 if big else 8)
        fits = struct.calcsize(code) * values <= (8 if big else 4)
        where = inline if fits else struct.unpack_from(order + ("Q" if big else "I"), data, inline)[0]
        tags[tag] = struct.unpack_from(order + code, data, where)[0]
    return tags


_FORMATS = {
    b"\xff\xd8\xff": _jpeg,
    b"\x89PNG\r\n\x1a\n": _png,
    b"BM": _bmp,
    b"II*\x00": _tiff,
    b"MM\x00*": _tiff,
    b"II+\x00": _tiff,
    b"MM\x00+": _tiff,
}
