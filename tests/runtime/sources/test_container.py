"""What containers say of themselves; the files are written by OpenCV's FFmpeg."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeirf.runtime.sources.container import Container, read_container

KINDS = [
    ("v.avi", "MJPG", 20),
    ("v.avi", "XVID", 20),
    ("v.mp4", "mp4v", None),
    ("v.mov", "mp4v", None),
    ("v.mkv", "FFV1", None),
    ("v.webm", "VP80", None),
    ("v.flv", "FLV1", None),
    ("v.wmv", "WMV2", None),
    ("v.ts", "mp4v", None),
    ("v.m2ts", "mp4v", None),
    ("v.mpg", "MPG1", None),
    ("v.mpeg", "MPG2", None),
]


def write(path: Path, codec: str) -> bytes:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), 25.0, (160, 120))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV does not write {codec}")
    for number in range(20):
        writer.write(np.random.default_rng(number).integers(0, 256, (120, 160, 3), dtype=np.uint8))
    writer.release()
    return path.read_bytes()


@pytest.mark.parametrize(("name", "codec", "frames"), KINDS)
def test_whole_files_are_whole_and_cut_ones_are_cut(tmp_path: Path, name: str, codec: str, frames: int | None) -> None:
    data = write(tmp_path / name, codec)
    whole = read_container(tmp_path / name)
    assert whole == Container(counted=name[2:] in ("avi", "mp4", "mov"), frames=frames)
    for share in (0.1, 0.5, 0.9, 0.999):
        (tmp_path / name).write_bytes(data[: int(len(data) * share) + 1])
        assert read_container(tmp_path / name).cut, share


def test_an_avi_that_repeats_frames_counts_those_that_are_stored(tmp_path: Path) -> None:
    """How AVI stores a variable frame rate: an empty chunk shows the frame before once more."""
    data = write(tmp_path / "v.avi", "MJPG")
    place = data.index(b"00dc")
    empty = b"00dc\0\0\0\0" * 5
    (tmp_path / "v.avi").write_bytes(data[:place] + empty + data[place:])
    assert read_container(tmp_path / "v.avi").frames == 20


@pytest.mark.parametrize(("name", "codec"), [("v.mkv", "FFV1"), ("v.webm", "VP80")])
@pytest.mark.parametrize("element", ["a3", "1f43b675"], ids=["block", "cluster"])
def test_a_matroska_file_that_is_damaged_between_its_blocks_is_no_whole_one(
    tmp_path: Path, name: str, codec: str, element: str
) -> None:
    """FFmpeg leaves out the frames up to the next cluster, and says nothing."""
    data = write(tmp_path / name, codec)
    cluster = data.index(bytes.fromhex("1f43b675"))
    place = data.index(bytes.fromhex(element), cluster)
    (tmp_path / name).write_bytes(data[:place] + b"\0" + data[place + 1 :])
    assert read_container(tmp_path / name).cut


def test_a_stream_without_a_length_and_what_is_unknown_are_taken_as_whole(tmp_path: Path) -> None:
    live = bytes.fromhex("1a45dfa3 80 18538067 01ffffffffffffff") + bytes(100)
    for data in (live, b"something else", b"", bytes(1000)):
        (tmp_path / "v").write_bytes(data)
        assert read_container(tmp_path / "v") == Container()
