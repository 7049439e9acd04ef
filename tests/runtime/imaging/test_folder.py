"""Which pictures a folder holds: every file is read or counted."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeirf.errors import SourceError
from edgeirf.runtime.imaging.folder import begins_like_a_picture, find_pictures, is_mask_folder

PNG = cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes()


def fill(root: Path, names: list[str], data: bytes = PNG) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def test_pictures_come_in_natural_order(tmp_path: Path) -> None:
    fill(tmp_path, ["10.png", "2.PNG", "1.jpg", "part9b.tif", "part9a.tiff", "part10.bmp", "b/1.webp", "b/c/2.jfif"])
    fill(tmp_path, ["without suffix", "odd.pgm"])
    found = find_pictures(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in found.pictures] == [
        *("1.jpg", "2.PNG", "10.png", "b/1.webp", "b/c/2.jfif", "odd.pgm"),
        *("part9a.tiff", "part9b.tif", "part10.bmp", "without suffix"),
    ]
    assert found.remark is None


def test_what_is_passed_over_is_one_line(tmp_path: Path) -> None:
    fill(
        tmp_path,
        ["1.png", "1_mask.png", ".hidden.png", ".cache/2.png", "__MACOSX/3.png", "ground_truth/4.png", "v.mp4"],
    )
    fill(tmp_path, ["notes.txt", "._1.png", "Thumbs.db"], b"no picture")
    found = find_pictures(tmp_path)
    assert [path.name for path in found.pictures] == ["1.png"]
    assert len(found.passed_over) == 6
    assert found.remark == (
        f"{tmp_path}: passed over: 1 in hidden folders, 1 hidden, 1 in junk folders, 1 masks in ground_truth, "
        "1 videos, 1 masks beside their pictures, 3 other files (.db, .png, .txt)"
    )


def test_a_folder_of_masks_that_is_named_itself_is_read(tmp_path: Path) -> None:
    fill(tmp_path / "ground_truth", ["1.png"])
    assert len(find_pictures(tmp_path / "ground_truth").pictures) == 1


def test_links_are_followed_and_circles_end(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", ["1.png"])
    fill(tmp_path / "parts", ["2.png"])
    (tmp_path / "parts" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "parts" / "circle").symlink_to(tmp_path / "parts")
    assert sorted(path.name for path in find_pictures(tmp_path / "parts").pictures) == ["1.png", "2.png"]


def test_pipes_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.png")
    found = find_pictures(tmp_path)
    assert [path.name for path in found.pictures] == ["pipe.png"]  # reading it is an error of its own
    assert [path.name for path in found.others] == ["pipe"]


def test_a_missing_folder_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot read the folder"):
        find_pictures(tmp_path / "missing")


@pytest.mark.parametrize(
    ("text", "picture"),
    [
        (b"BMW is a car", False),
        (b"P5 is a paper size", False),
        (b"P1 10 seconds", True),  # may be one
        (b"GIF images are old", False),
        (b"II*\0", True),
        (b"", False),
        (PNG[:8], True),
    ],
)
def test_content_tells_pictures_from_text(tmp_path: Path, text: bytes, picture: bool) -> None:
    (tmp_path / "x").write_bytes(text)
    assert begins_like_a_picture(tmp_path / "x") == picture


NAMES = st.sampled_from(
    [
        *("a", "good"),
        *("1.png", "1_mask.png", "2.jfif", ".3.png", "x.txt", "v.avi", "no suffix"),
    ]
)


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.tuples(st.sampled_from(["", "a", ".h", "__MACOSX", "Masks", "good", "a/.git"]), NAMES, st.booleans()))
)
def test_every_file_is_read_or_counted(
    tmp_path_factory: pytest.TempPathFactory, tree: set[tuple[str, str, bool]]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for folder, name, picture in tree:
        fill(root / folder, [name if "." in name else f"{name} file"], PNG if picture else b"text")
    files = {path for path in root.rglob("*") if path.is_file()}
    found = find_pictures(root)
    everything = [*found.pictures, *(path for _, path in found.passed_over), *found.others]
    assert sorted(everything) == sorted(files)
    assert (found.remark is None) == (files == set(found.pictures))


@pytest.mark.parametrize("name", ["ground_truth", "Ground Truth", "masks", "Mask", "GT", "labels"])
def test_mask_folders(name: str) -> None:
    assert is_mask_folder(name)
    assert not is_mask_folder(f"un{name}")
