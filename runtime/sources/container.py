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
_CLUSTER = 0x1F43B675
_MATROSKA = frozenset(
    (0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1043A770, 0x1254C367, 0x1941A469, _CLUSTER, 0xEC, 0xBF)
)
"""What a segment holds: index, info, tracks, cues, chapters, tags, attachments, clusters, padding, checksum."""
_IN_CLUSTER = frozenset((0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0x5854, 0xAF, 0xEC, 0xBF))
"""What a cluster holds: its time, blocks, positions, padding, checksum."""
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
                return Container(cut=_matroska_cut(file, size))
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


def _matroska_cut(file: BinaryIO, size: int) -> bool:
    """Whether a Matroska or WebM file is cut, or damaged between its blocks: FFmpeg skips to the next cluster then.

    A file that was written without sizes (RFC 8794) cannot be walked, and is taken as whole.
    """
    while True:
        name, length = _ebml_number(file, keep=True), _ebml_number(file, keep=False)
        if name == _SEGMENT:
            break
        file.seek(length, os.SEEK_CUR)
    end = file.tell() + length
    return length is not _UNKNOWN_SIZE and (end > size or not _walks(file, end, _MATROSKA))


def _walks(file: BinaryIO, end: int, known: frozenset[int]) -> bool:
    """Whether only known elements come one after another up to ``end``."""
    while file.tell() < end:
        name, length = _ebml_number(file, keep=True), _ebml_number(file, keep=False)
        if length is _UNKNOWN_SIZE:
            return True
        after = file.tell() + length
        if name not in known or after > end or (name == _CLUSTER and not _walks(file, after, _IN_CLUSTER)):
            return False
        file.seek(after)
    return file.tell() == end


def _ebml_number(file: BinaryIO, *, keep: bool) -> int:
    first = file.read(1)[0]
    width = 9 - first.bit_length()
    value = int.from_bytes(bytes([first if keep else first & 0xFF >> width]) + file.read(width - 1), "big")
    return _UNKNOWN_SIZE if not keep and value == (1 << 7 * width) - 1 else value


def _cut_otherwise(file: BinaryIO, start: bytes, size: int) -> bool:
    """MPEG transport stream (with 4 bytes before each packet in M2TS), program stream, Flash, Windows Media, Ogg."""
    for before in (0, 4):
        if start[before : before + 1] == b"\x47" and size > 188:
            return size % (188 + before) != 0
    if start[:4] == b"\0\0\1\xba":
        return _program_stream_end(file, size) != size
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


def _program_stream_end(file: BinaryIO, size: int) -> int:
    """Where the last packet of an MPEG program stream ends (ISO 11172-1 and 13818-1)."""
    position = 0
    while position + 14 <= size:
        file.seek(position)
        head = file.read(14)
        if head[:3] != b"\0\0\1":
            return position
        if head[3] == 0xBA:
            position += 14 + (head[13] & 7) if head[4] >> 6 == 1 else 12
        else:
            position += 4 if head[3] == 0xB9 else 6 + int.from_bytes(head[4:6], "big")
    return size if size - position == 4 else position  # the end code
