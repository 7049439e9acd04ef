"""What the tags of a TIFF say of its pixels, before OpenCV decodes them.

OpenCV reads some variants wrongly and says nothing: separate planes of 16 bits, packed 12-bit samples, CIELAB. So only
what was compared with a second decoder is let through; everything else is one line (TIFF 6.0; BigTIFF).
"""

from __future__ import annotations

import struct

from edgeirf.errors import FrameError

_MOST_DIRECTORIES, _MOST_TAGS, _MOST_VALUES, _MOST_STRIPS = 100_000, 4096, 16, 1 << 20
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _PLANES = 256, 257, 258, 262, 277, 284
_SUBFILE, _OLD_SUBFILE, _COLOURS, _EXTRA, _SAMPLE_FORMAT = 254, 255, 320, 338, 339
_PLACES = ((273, 279), (324, 325))
"""Offsets and lengths of strips, and of tiles."""
_READ = {_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _PLANES, _SUBFILE, _OLD_SUBFILE, _COLOURS, _EXTRA}
_READ |= {_SAMPLE_FORMAT, *_PLACES[0], *_PLACES[1]}
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 16: "Q", 17: "q"}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_OTHER_COLOURS = {4: "a mask", 8: "CIELAB", 9: "ICCLAB", 10: "ITULAB", 32803: "a colour filter", 34892: "linear raw"}

Tags = dict[int, tuple[int, ...]]


def read_tiff(data: bytes) -> tuple[int, int, int, bool]:
    """Checks the tags.

    Returns:
        Width and height in pixels, the number of full pictures, and whether 16-bit gray is stored with white as 0.

    Raises:
        FrameError: cut short, or a variant that OpenCV does not read, or reads wrongly.
    """
    pages = _directories(data)
    first = pages[0]
    _check_strips(first, len(data))
    if _reduced(first):
        raise FrameError("is a TIFF whose first picture is a thumbnail: save the full picture alone")
    _check_pixels(first)
    inverted = _one(first, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO and _one(first, _BITS, 1) == 16
    pictures = sum(not _reduced(page) for page in pages)
    return _one(first, _WIDTH, 0), _one(first, _HEIGHT, 0), pictures, inverted


def _check_pixels(tags: Tags) -> None:
    bits, samples = _one(tags, _BITS, 1), _one(tags, _SAMPLES, 1)
    colours, extra = _one(tags, _PHOTOMETRIC, _BLACK_IS_ZERO), tags.get(_EXTRA, ())
    if any(kind not in (1, 4) for kind in tags.get(_SAMPLE_FORMAT, (1,))):
        raise FrameError(
            "is a TIFF of signed or floating-point pixels (int or float): save it with 8 or 16 bits, unsigned"
        )
    if len(set(tags.get(_BITS, (1,)))) > 1 or bits not in (1, 8, 16):
        raise FrameError(f"is a TIFF of {bits}-bit samples, which OpenCV misreads: save it with 8 or 16 bits")
    if colours in _OTHER_COLOURS or colours > _YCBCR:
        raise FrameError(
            f"is a TIFF of {_OTHER_COLOURS.get(colours, f'colour space {colours}')}: save it as RGB or gray"
        )
    expected = {_RGB: 3, _CMYK: 4, _YCBCR: 3}.get(colours, 1)
    if samples - len(extra) != expected and not (colours == _RGB and samples == 4):
        raise FrameError(f"is a TIFF of {samples} samples a pixel where {expected} belong: save it as RGB or gray")
    if len(extra) > 1 or (extra and expected == 1):
        raise FrameError("is a TIFF of gray or more with extra samples, which OpenCV misreads: save it as PNG")
    if bits == 16 and _one(tags, _PLANES, 1) != 1 and samples > 1:
        raise FrameError("is a 16-bit TIFF in separate colour planes, which OpenCV misreads: save it interleaved")
    if bits == 16 and colours not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        raise FrameError("is a 16-bit TIFF of other colours than RGB or gray: save it as RGB")


def _check_strips(tags: Tags, size: int) -> None:
    """All pixels are in the file: OpenCV hands out what is left of separate planes, and fills up."""
    for offsets, lengths in _PLACES:
        for offset, length in zip(tags.get(offsets, ()), tags.get(lengths, ()), strict=False):
            if length and not 0 < offset <= size - length:
                raise FrameError("is cut short or damaged: a part of its pixels is not in the file")


def _one(tags: Tags, tag: int, default: int) -> int:
    return tags[tag][0] if tags.get(tag) else default


def _reduced(tags: Tags) -> bool:
    """Whether a directory holds a smaller copy or a transparency mask of another picture."""
    return bool(_one(tags, _SUBFILE, 0) & 0b101) or _one(tags, _OLD_SUBFILE, 1) == 2


def _directories(data: bytes) -> list[Tags]:
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"\x2b\x00", b"\x00\x2b")
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    found: list[Tags] = []
    seen: set[int] = set()
    while offset and offset not in seen and len(found) < _MOST_DIRECTORIES:
        seen.add(offset)
        try:
            tags, offset = _directory(data, offset, order, big, _MOST_VALUES if found else _MOST_STRIPS)
        except (struct.error, OverflowError):
            if not found:
                raise
            raise FrameError("is cut short: a later page of the TIFF is missing") from None
        found.append(tags)
    if not found:
        raise FrameError("is a TIFF without a picture")
    return found


def _directory(data: bytes, offset: int, order: str, big: bool, most: int) -> tuple[Tags, int]:
    """The tags of one directory that have at most ``most`` values, and where the next one is (0: nowhere)."""
    count = struct.unpack_from(order + ("Q" if big else "H"), data, offset)[0]
    start, step = (offset + 8, 20) if big else (offset + 2, 12)
    if count > _MOST_TAGS:
        raise FrameError("is damaged: a TIFF directory of too many tags")
    tags: Tags = {}
    for entry in range(start, start + count * step, step):
        tag, kind, values = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, entry)
        code = _CODES.get(kind)
        if tag not in _READ or code is None or not 0 < values <= most:
            continue
        inline = entry + (12 if big else 8)
        fits = struct.calcsize(code) * values <= (8 if big else 4)
        where = inline if fits else struct.unpack_from(order + ("Q" if big else "I"), data, inline)[0]
        tags[tag] = struct.unpack_from(f"{order}{values}{code}", data, where)
    return tags, struct.unpack_from(order + ("Q" if big else "I"), data, start + count * step)[0]
