"""What an image file says of itself before it is decoded, and whether all of it is there.

OpenCV hands out half a picture, filled up with gray or, in 4.10 and 4.11, with the picture decoded before it
(opencv/opencv#26488), when a JPEG is cut short. A silently wrong frame is the worst a line can get, so the container
is walked first. Bits that flipped inside the compressed data of a JPEG, WebP or TIFF cannot be seen this way; PNG has
checksums, and they are checked.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from edgeirf.errors import FrameError
from edgeirf.runtime.imaging.tiff_header import read_tiff

_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # after entropy-coded data: no stuffing, restart or fill bytes
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..SOF15 without DHT, JPG and DAC
_PNM_HEADER = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:(?:\s|#[^\n]*\n)+(\d+))?\s", re.DOTALL)
_PAM_FIELD = re.compile(rb"(WIDTH|HEIGHT|DEPTH|MAXVAL)\s+(\d+)")
_BMP_MASKS = ((16, 0x7C00, 0x3E0, 0x1F), (16, 0xF800, 0x7E0, 0x1F), (32, 0xFF0000, 0xFF00, 0xFF))
"""Bits a pixel, and the bits of red, green and blue."""
FORMATS = "JPEG, PNG, BMP, TIFF, WebP, GIF, JPEG 2000, AVIF, PNM or Sun raster"


@dataclass(frozen=True)
class ImageHeader:
    """Size in pixels, the number of pictures in the file, and whether the decoded values are to be inverted."""

    width: int
    height: int
    pictures: int = 1
    inverted: bool = False


def is_picture(start: bytes) -> bool:
    """Whether a file that starts with these 32 bytes or more is of a format that is read."""
    return any(magic.match(start) for magic, _ in _FORMATS)


def read_header(data: bytes) -> ImageHeader:
    """Walks a picture file of one of :data:`FORMATS`.

    Raises:
        FrameError: another format, cut short, damaged where the container can tell, or of pixels that OpenCV misreads.
    """
    for magic, read in _FORMATS:
        if magic.match(data):
            try:
                return read(data)
            except (struct.error, IndexError, OverflowError):
                raise FrameError("is cut short") from None
    raise FrameError(f"is not a {FORMATS} image" if data else "is empty")


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
    # Some cameras append a preview or a gain map, and say so (CIPA DC-007): that is no second frame.
    more = data[position : position + 3] == b"\xff\xd8\xff" and b"MPF\0" not in data[:position]
    return ImageHeader(size[1], size[0], 2 if more else 1)


def _png(data: bytes) -> ImageHeader:
    size, pictures, position, view = None, 1, 8, memoryview(data)
    while True:
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(view[position + 4 : end]) != checksum:
            raise FrameError(f"is damaged: checksum of its {kind.decode('latin-1')!r} chunk")
        if kind == b"IHDR":
            size = struct.unpack_from(">II", data, position + 8)
        elif kind == b"acTL":
            (pictures,) = struct.unpack_from(">I", data, position + 8)
        elif kind == b"IEND":
            break
        position = end + 4
    if size is None:
        raise FrameError("is a PNG without an image")
    return ImageHeader(size[0], size[1], pictures)


def _bmp(data: bytes) -> ImageHeader:
    (header_size,) = struct.unpack_from("<I", data, 14)
    if header_size == 12:
        return ImageHeader(*struct.unpack_from("<HH", data, 18))
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression in (3, 6) and (bits, *struct.unpack_from("<III", data, 54)) not in _BMP_MASKS:
        raise FrameError("is a BMP of unusual colour masks, which OpenCV misreads: save it with 24 bits")
    return ImageHeader(width, abs(height))


def _tiff(data: bytes) -> ImageHeader:
    return ImageHeader(*read_tiff(data))


def _webp(data: bytes) -> ImageHeader:
    """RFC 9649: chunks ``VP8 `` (lossy), ``VP8L`` (lossless), ``VP8X`` with one ``ANMF`` for each moving picture."""
    (size,) = struct.unpack_from("<I", data, 4)
    if len(data) < size + 8:
        raise FrameError("is cut short")
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return ImageHeader(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return ImageHeader((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    width, height = (int.from_bytes(data[start : start + 3], "little") + 1 for start in (24, 27))
    pictures, position = 0, 12
    while position + 8 <= size + 8:
        name, length = struct.unpack_from("<4sI", data, position)
        pictures += name == b"ANMF"
        position += 8 + length + length % 2
    return ImageHeader(width, height, max(pictures, 1))


def _gif(data: bytes) -> ImageHeader:
    """GIF89a, sections 17 to 27: the blocks up to the trailer, one image descriptor a picture."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position, pictures = 13 + _gif_palette(flags), 0
    while (block := data[position]) != 0x3B:
        if block == 0x2C:
            pictures += 1
            position += 11 + _gif_palette(data[position + 9])
        elif block == 0x21:
            position += 2
        else:
            raise FrameError("is damaged: not a GIF block where one must be")
        while length := data[position]:
            position += 1 + length
        position += 1
    return ImageHeader(width, height, pictures)


def _gif_palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _pnm(data: bytes) -> ImageHeader:
    kind, header = data[:2], _PNM_HEADER.match(data)
    if kind in (b"P1", b"P4"):
        header = re.match(_PNM_HEADER.pattern.replace(rb"(?:(?:\s|#[^\n]*\n)+(\d+))?", b""), data, re.DOTALL)
    if header is None or (kind not in (b"P1", b"P4") and header[3] is None):
        raise FrameError("is cut short")
    width, height = int(header[1]), int(header[2])
    if kind in (b"P1", b"P4"):
        size = (width + 7) // 8 * height
    else:
        white = _check_white(int(header[3]))
        size = width * height * (1 if kind in (b"P2", b"P5") else 3) * (2 if white > 255 else 1)
    return _pnm_header(data, width, height, header.end() + size if kind >= b"P4" else None)


def _pam(data: bytes) -> ImageHeader:
    end = data.find(b"ENDHDR\n")
    fields = {name: int(value) for name, value in _PAM_FIELD.findall(data[: max(end, 0)])}
    if end < 0 or len(fields) < 4:
        raise FrameError("is cut short")
    white = _check_white(fields[b"MAXVAL"])
    width, height = fields[b"WIDTH"], fields[b"HEIGHT"]
    if fields[b"DEPTH"] != 1 or white == 1:
        raise FrameError("is a PAM of colours, transparency or black and white, which OpenCV misreads: save it as PNG")
    return _pnm_header(data, width, height, end + 7 + width * height * (2 if white > 255 else 1))


def _pnm_header(data: bytes, width: int, height: int, end: int | None) -> ImageHeader:
    if end is not None and len(data) < end:
        raise FrameError("is cut short")
    more = end is not None and _PNM_HEADER.match(data, end)
    return ImageHeader(width, height, 2 if more else 1)


def _check_white(white: int) -> int:
    """OpenCV hands on the values of a PNM unscaled: only a white level that fills its bits means the same elsewhere."""
    if white == 1 or (white >= 255 and white & (white + 1) == 0 and white < 1 << 16):
        return white
    raise FrameError(f"has white at {white}: save it with white at 255, or at 65535 for 16 bits")


def _sun(data: bytes) -> ImageHeader:
    width, height, bits, _, _, palette = struct.unpack_from(">6I", data, 4)
    if bits < 24 and not palette:
        raise FrameError("is a gray Sun raster, which OpenCV misreads: save it as PNG")
    return ImageHeader(width, height)


def _jpeg2000(data: bytes) -> ImageHeader:
    if data[:2] == b"\xff\x4f":  # a bare code stream: the SIZ marker comes first (ISO 15444-1, annex A)
        right, bottom, left, top = struct.unpack_from(">IIII", data, 8)
        return ImageHeader(right - left, bottom - top)
    size, colour = data.find(b"ihdr"), data.find(b"colr")
    height, width = struct.unpack_from(">II", data, size + 4)
    if colour > 0 and data[colour + 4] == 1 and struct.unpack_from(">I", data, colour + 7)[0] not in (16, 17):
        raise FrameError("is a JPEG 2000 of other colours than sRGB or gray: save it as RGB")
    return ImageHeader(width, height)


def _avif(data: bytes) -> ImageHeader:
    (start,) = struct.unpack_from(">I", data, 0)
    (length,) = struct.unpack_from(">I", data, start)
    properties = data[start : start + length]
    sizes = [struct.unpack_from(">II", properties, found.end() + 4) for found in re.finditer(b"ispe", properties)]
    if not sizes:
        raise FrameError("is an AVIF without a picture")
    if b"irot" in properties or b"imir" in properties:
        raise FrameError("is a turned or mirrored AVIF, which OpenCV does not turn back: save it upright")
    width, height = max(sizes, key=lambda size: int(size[0]) * int(size[1]))
    return ImageHeader(width, height, 2 if data[8:12] == b"avis" else 1)


_FORMATS = [
    (re.compile(pattern, re.DOTALL), read)
    for pattern, read in (
        (rb"\xff\xd8\xff", _jpeg),
        (rb"\x89PNG\r\n\x1a\n", _png),
        (rb"BM(?:.{0,4}\Z|.{4}\0\0\0\0)", _bmp),
        (rb"II[*+]\0|MM\0[*+]", _tiff),
        (rb"RIFF.{4}WEBP", _webp),
        (rb"GIF8[79]a", _gif),
        (rb"P[1-6](?:\s|#)[\s\d#]", _pnm),
        (rb"P7\s+(?:#|WIDTH|HEIGHT|DEPTH|MAXVAL|TUPLTYPE)", _pam),
        (rb"\x59\xa6\x6a\x95", _sun),
        (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", _jpeg2000),
        (rb".{4}ftypavi[fs]", _avif),
    )
]
