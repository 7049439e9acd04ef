"""What a video file says of itself: how many frames it stores, and whether the end of the file is missing.

OpenCV reckons the number of frames from the duration where the container does not store it, and decodes what is left
of a frame that was cut. So the container is walked first, without decoding.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edgeirf.errors import FrameError
from edgeirf.runtime.imaging.image_header import read_header

_EBML, _SEGMENT, _UNKNOWN_SIZE = 0x1A45DFA3, 0x18538067, -1
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


@dataclass(frozen=True)
class Container:
    """What was found.

    Attributes:
        counted: the number of frames is stored, not reckoned.
        frames: the number, where this walk counts it; None leaves it to OpenCV.
        cut: the end of the file is missing.
    """

    counted: bool = False
    frames: int | None = None
    cut: bool = False


def read_container(path: str | os.PathLike[str]) -> Container:
    """Walks a video file; one of an unknown kind is taken as whole and uncounted."""
    size = os.stat(path).st_size
    with open(path, "rb") as file:
        start = file.read(64)
        file.seek(0)
        try:
            if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
                return _avi(file, size)
            if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return Container(counted=True, cut=_boxes_end(file, size) > size)
            if start[:4] == _EBML.to_bytes(4, "big"):
                return Container(cut=_matroska_end(file) > size)
            if start[:3] == b"GIF":
                return _gif(path)
            return Container(cut=_cut_otherwise(file, start, size))
        except (struct.error, IndexError):
            return Container(cut=True)


def _gif(path: str | os.PathLike[str]) -> Container:
    try:
        return Container(counted=True, frames=read_header(Path(path).read_bytes()).pictures)
    except FrameError:
        return Container(cut=True)


def _avi(file: BinaryIO, size: int) -> Container:
    """RIFF: counts the frames that are not empty; an empty one repeats the frame before, and is not decoded."""
    frames, video = 0, b""
    for kind, length, position in _riff_chunks(file, size):
        if position + length > size:
            return Container(cut=True)
        if kind[2:] in (b"dc", b"db"):
            video = video or kind[:2]
            frames += length > 0 and kind[:2] == video
    return Container(counted=frames > 0, frames=frames)


def _riff_chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, length and place of each chunk; lists are entered, so that the chunks in them come next."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        kind, length = struct.unpack("<4sI", file.read(8))
        yield kind, length, position + 8
        position += 12 if kind in (b"RIFF", b"LIST") else 8 + length + length % 2


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last top-level box of an MP4 or MOV ends (ISO 14496-12)."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        length, header = *struct.unpack(">I", file.read(4)), 8
        if length == 1:
            file.seek(position + 8)
            (length,), header = struct.unpack(">Q", file.read(8)), 16
        if length == 0:  # to the end of the file
            return size
        position += max(length, header)
    return max(position, size)


def _matroska_end(file: BinaryIO) -> int:
    """Where the segment of a Matroska or WebM file ends; -1 where it was written without its size (RFC 8794)."""
    while True:
        name, length = _ebml_number(file, keep=True), _ebml_number(file, keep=False)
        if name == _SEGMENT:
            return _UNKNOWN_SIZE if length is _UNKNOWN_SIZE else file.tell() + length
        file.seek(length, os.SEEK_CUR)


def _ebml_number(file: BinaryIO, *, keep: bool) -> int:
    first = file.read(1)[0]
    width = 9 - first.bit_length()
    value = int.from_bytes(bytes([first if keep else first & 0xFF >> width]) + file.read(width - 1), "big")
    return _UNKNOWN_SIZE if not keep and value == (1 << 7 * width) - 1 else value


def _cut_otherwise(file: BinaryIO, start: bytes, size: int) -> bool:
    """MPEG transport stream, Flash, Windows Media, Ogg."""
    if start[:1] == b"\x47" and size > 188:
        return size % 188 != 0
    if start[:3] == b"FLV":  # the last four bytes are the length of the tag before them
        file.seek(size - 4)
        back = size - 4 - struct.unpack(">I", file.read(4))[0]
        file.seek(max(back, 0))
        kind, length = struct.unpack(">B3s", file.read(4))
        return back < 9 or kind not in (8, 9, 18) or back + 15 + int.from_bytes(length, "big") != size
    if start[:16] == _ASF:
        head = file.read(4096)
        place = head.find(_ASF_FILE)
        return place > 0 and struct.unpack_from("<Q", head, place + 40)[0] > size
    if start[:4] == b"OggS":
        file.seek(max(size - 65_536, 0))
        tail = file.read()
        last = tail.rfind(b"OggS")
        return last < 0 or not tail[last + 5] & 4
    return False
