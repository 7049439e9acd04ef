"""Folders, globs, single images and videos."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.sources import open_source
from edgeirf.runtime.sources.video import VideoFile


def write_images(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for value, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((8, 10, 3), value, np.uint8))


def write_video(path: Path, codec: str, frames: int = 40) -> Path:
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), 25.0, (160, 120))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV does not write {codec}")
    noise = cv2.GaussianBlur(rng.integers(0, 256, (120, 160, 3), dtype=np.uint8), (0, 0), 2)
    for number in range(frames):
        writer.write(np.roll(noise, 3 * number, 1))
    writer.release()
    return path


def test_a_folder_gives_its_images_in_order_and_errors_in_place(tmp_path: Path) -> None:
    write_images(tmp_path, ["1.png", "2.png", "10.png"])
    (tmp_path / "3.jpg").write_bytes(b"\xff\xd8\xff\xe0nonsense")
    source = open_source(str(tmp_path))
    frames = list(source)
    assert source.total == 4
    assert [frame.frame_id for frame in frames] == [0, 1, 2, 3]
    assert [Path(frame.source).name for frame in frames] == ["1.png", "2.png", "3.jpg", "10.png"]
    assert [frame.error is None for frame in frames] == [True, True, False, True]
    assert "3.jpg" in frames[2].error
    assert frames[2].image is None
    assert frames[3].image[0, 0, 0] == 2


def test_sub_folders_and_every_format_are_inspected(tmp_path: Path) -> None:
    write_images(tmp_path, ["1.png", "2.webp", "3.ppm", "4.jpeg"])
    (tmp_path / "4.jpeg").rename(tmp_path / "4.jfif")
    write_images(tmp_path / "a" / "b", ["5.tif"])
    assert [Path(frame.source).name for frame in open_source(str(tmp_path)) if frame.image is not None] == [
        *("1.png", "2.webp", "3.ppm", "4.jfif", "5.tif")
    ]


@pytest.mark.parametrize("name", ["clip.mp4", ".hidden.png", ".cache/1.png", "ground_truth/1.png", "1_mask.png"])
def test_what_was_offered_and_not_inspected_is_an_error_at_the_end(tmp_path: Path, name: str) -> None:
    write_images(tmp_path, ["1.png"])
    write_images((tmp_path / name).parent, ["x.png"])
    ((tmp_path / name).parent / "x.png").rename(tmp_path / name)
    frames = []
    with pytest.raises(SourceError, match=r"not everything was inspected: .*passed over: 1 "):
        frames.extend(open_source(str(tmp_path)))
    assert len(frames) == 1


def test_files_that_are_no_pictures_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_images(tmp_path, ["1.png"])
    (tmp_path / "notes.txt").touch()
    assert len(list(open_source(str(tmp_path)))) == 1
    assert caplog.messages == [f"{tmp_path}: passed over: 1 other file (.txt)"]


def test_a_glob_that_names_folders_inspects_what_is_in_them(tmp_path: Path) -> None:
    write_images(tmp_path / "a", ["1.png"])
    write_images(tmp_path / "b", ["2.png"])
    assert len(list(open_source(str(tmp_path / "*")))) == 2
    assert len(list(open_source(str(tmp_path / "**")))) == 2


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_odd_files_have_their_verdict_and_do_not_hang(tmp_path: Path, kind: str) -> None:
    write_images(tmp_path, ["1.png", "3.png"])
    if kind == "pipe":
        os.mkfifo(tmp_path / "2.png")
    else:
        (tmp_path / "2.png").symlink_to("/dev/zero")
    assert [frame.error is None for frame in open_source(str(tmp_path))] == [True, False, True]


def test_globs_and_single_files(tmp_path: Path) -> None:
    write_images(tmp_path / "a", ["1.png", "2.bmp"])
    write_images(tmp_path / "b" / "c", ["3.png"])
    (tmp_path / "a" / "notes.txt").touch()
    for pattern, names in [("a/*", ["1.png", "2.bmp"]), ("**/*.png", ["1.png", "3.png"]), ("a/1.png", ["1.png"])]:
        frames = list(open_source(str(tmp_path / pattern)))
        assert [Path(frame.source).name for frame in frames] == names
    assert len(list(open_source(f"file://{tmp_path}/a"))) == 2


def test_a_folder_stops_when_told(tmp_path: Path) -> None:
    write_images(tmp_path, ["1.png", "2.png", "3.png"])
    source = open_source(str(tmp_path))
    seen = []
    for frame in source:
        seen.append(frame)
        source.stop()
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("missing.mp4", SourceError, "there is no missing.mp4"),
        ("", UsageError, "is empty"),
        ("empty", SourceError, "empty: no pictures to inspect"),
        ("videos", SourceError, r"passed over: 1 videos: no pictures"),
        ("nothing/*.png", SourceError, "no picture matches nothing"),
        ("text.mp4", SourceError, "cannot open text.mp4 as a video"),
        ("97", SourceError, "there is no /dev/video97"),
        ("v4l2:///dev/video98", SourceError, "there is no /dev/video98"),
        ("0?widht=3", UsageError, "'widht' is not a setting"),
        ("0?width=wide", UsageError, "not a setting"),
        ("v4l2:///dev/video0?format=X", UsageError, "known are width, height"),
        ("rtsp:camera", UsageError, "no address"),
        ("rtsp://127.0.0.1:9/stream", SourceError, "cannot open the stream"),
        ("test://?colour=red", UsageError, "has no 'colour'"),
    ],
)
def test_what_cannot_be_opened_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, error: type[Exception], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("this is no video")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "1.mp4").touch()
    with pytest.raises(error, match=message):
        open_source(text, timeout=1.0)


def test_a_password_never_reaches_a_message() -> None:
    with pytest.raises(SourceError) as caught:
        open_source("rtsp://user:secret@127.0.0.1:9/stream", timeout=1.0)
    assert "secret" not in str(caught.value)
    assert "rtsp://127.0.0.1:9/stream" in str(caught.value)


@pytest.mark.parametrize(("name", "codec"), [("v.mp4", "mp4v"), ("v.avi", "MJPG"), ("v.mkv", "mp4v")])
def test_a_whole_video_ends_without_complaint(tmp_path: Path, name: str, codec: str) -> None:
    source = open_source(str(write_video(tmp_path / name, codec)))
    frames = list(source)
    source.close()
    assert [frame.frame_id for frame in frames] == list(range(40))
    assert source.total == (None if name.endswith("mkv") else 40)  # Matroska does not store it
    assert frames[0].image.shape == (120, 160, 3)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
@pytest.mark.parametrize(("name", "codec"), [("v.avi", "MJPG"), ("v.mkv", "FFV1")])
def test_a_video_cut_short_gives_what_it_has_and_then_says_so(
    tmp_path: Path, name: str, codec: str, share: float
) -> None:
    path = write_video(tmp_path / name, codec)
    path.write_bytes((data := path.read_bytes())[: int(len(data) * share)])
    frames = []
    whole = list(open_source(str(write_video(tmp_path / f"whole{path.suffix}", codec))))
    with pytest.raises(SourceError, match=r"ends after \d+ frames: it is cut short"):
        frames.extend(open_source(str(path)))
    assert 40 * share - 4 < len(frames) < 40
    doubtful = [frame.frame_id for frame in frames if frame.error]
    assert doubtful == [frame.frame_id for frame in frames[-1 if codec == "MJPG" else -4 :]]
    for frame, reference in zip(frames[: doubtful[0]], whole, strict=False):
        np.testing.assert_array_equal(frame.image, reference.image)


def test_an_mp4_without_its_index_cannot_be_opened(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", "mp4v")
    path.write_bytes((data := path.read_bytes())[: len(data) // 2])
    with pytest.raises(SourceError, match="cut short"):
        open_source(str(path))


def test_a_damaged_jpeg_in_a_video_is_an_error_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", "MJPG", 10)
    data = bytearray(path.read_bytes())
    place = [found.start() for found in re.finditer(rb"\xff\xd8\xff", data)][4]
    data[place + 2] = 0  # no marker where one must be
    path.write_bytes(data)
    frames = list(open_source(str(path)))
    assert [frame.frame_id for frame in frames if frame.error] == [4]
    assert len(frames) == 10


def test_a_video_that_changes_its_size_is_an_error_by_name(tmp_path: Path) -> None:
    sizes = [(48, 64)] * 12 + [(96, 128)] * 4
    pictures = (cv2.imencode(".jpg", np.full((*size, 3), 99, np.uint8))[1].tobytes() for size in sizes)
    (tmp_path / "v.mjpg").write_bytes(b"".join(pictures))
    frames = list(open_source(str(tmp_path / "v.mjpg")))
    assert [frame.error is None for frame in frames] == [True] * 12 + [False] * 4
    assert "changed its frames from 64x48 to 128x96" in frames[12].error


def animation(count: int) -> bytes:
    frames = [Image.fromarray(np.full((40, 60), 9 * number, np.uint8)) for number in range(count)]
    frames[0].save(buffer := io.BytesIO(), "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def test_an_animated_gif_is_a_video_and_one_that_is_cut_says_so(tmp_path: Path) -> None:
    (tmp_path / "v.gif").write_bytes(data := animation(12))
    assert len(list(open_source(str(tmp_path / "v.gif")))) == 12
    (tmp_path / "v.gif").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(SourceError, match="cut short"):
        list(open_source(str(tmp_path / "v.gif")))


class Player:
    """A VideoCapture that plays a script: letters are frames, ``x`` one that cannot be decoded."""

    def __init__(self, script: str) -> None:
        self.script = list(script)

    def read(self) -> tuple[bool, np.ndarray | None]:
        letter = self.script.pop(0) if self.script else "x"
        return (False, None) if letter == "x" else (True, np.full((2, 2, 3), ord(letter), np.uint8))


@pytest.mark.parametrize(
    ("script", "total", "lost", "ends_early"),
    [
        ("aaaa", 4, [], False),
        ("aaxa", 4, [2], False),
        ("xaaa", 4, [0], False),
        ("axxaxa", 6, [1, 2, 4], False),
        ("aax", 4, [], True),
        ("aaxa", 6, [2], True),
        ("aaaaa", 4, [], False),
        ("aaa", None, [], False),
        ("aaxa", None, [2], False),
        ("xxxx", 4, [], True),
    ],
)
def test_frames_that_cannot_be_decoded_do_not_end_a_video(
    tmp_path: Path, script: str, total: int | None, lost: list[int], ends_early: bool
) -> None:
    source = VideoFile(str(write_video(tmp_path / "v.avi", "MJPG", 1)))
    source._capture, source.total = Player(script), total
    frames = []
    try:
        frames.extend(source)
        ended_early = False
    except SourceError:
        ended_early = True
    assert ended_early == ends_early
    assert [frame.frame_id for frame in frames] == list(range(len(frames)))
    assert [frame.frame_id for frame in frames if frame.error] == lost


def test_reads_say_frame_and_then_end(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    source = open_source(str(tmp_path))
    assert [source.read(0).state for _ in range(3)] == ["frame", "end", "end"]


def test_a_read_says_the_error_that_ends_a_source(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "b.mp4").write_bytes(b"a video")
    source = open_source(str(tmp_path))
    reads = [source.read(0) for _ in range(2)]
    assert [read.state for read in reads] == ["frame", "error"]
    assert "not everything was inspected" in str(reads[1].detail)


def test_a_rendered_line_is_read_at_its_rate() -> None:
    source = open_source("test://?size=64&rate=2&count=2")
    states = [source.read(0.01).state for _ in range(2)]
    assert states == ["frame", "timeout"]
    while (read := source.read(1.0)).state == "timeout":
        pass
    assert (read.frame.frame_id, source.read(0.01).state) == (1, "end")
