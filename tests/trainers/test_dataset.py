from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeirf.errors import UsageError
from edgeirf.trainers.dataset import find_products, survey


def write(folder: Path, images: list[np.ndarray], suffix: str = ".png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        cv2.imwrite(str(folder / f"{index:03}{suffix}"), image)
    return folder


def noise(count: int, shape: tuple[int, ...] = (40, 48, 3), top: int = 256, dtype=np.uint8) -> list[np.ndarray]:
    random = np.random.default_rng(top)
    return [random.integers(0, top, shape).astype(dtype) for _ in range(count)]


@pytest.mark.parametrize("layout", ["", "good", "train/good"])
def test_layouts(tmp_path: Path, layout: str) -> None:
    write(tmp_path / "bolt" / layout, noise(9))
    products = find_products(tmp_path / "bolt", unified=False)
    assert list(products) == ["bolt"]
    assert len(products["bolt"]) == 9


def test_unified_has_a_product_for_each_folder(tmp_path: Path) -> None:
    write(tmp_path / "bolt" / "train" / "good", noise(9))
    write(tmp_path / "nut", noise(8))
    found = survey(find_products(tmp_path, unified=True))
    assert {s.product for s in found.samples} == {"bolt", "nut"}
    assert all(any(s.calibration for s in found.samples if s.product == p) for p in ("bolt", "nut"))


@pytest.mark.parametrize("good", ["train/good", "train/ok", "Train/Good", "OK", "normal", "Data/Images/Normal"])
def test_good_parts_have_many_names_and_all_else_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, good: str
) -> None:
    write(tmp_path / good, noise(9))
    write(tmp_path / good / "second shift", noise(2))
    for other in ("test/scratch", "ground_truth/scratch", "beside"):
        write(tmp_path / other, noise(3))
    assert len(find_products(tmp_path, unified=False)[tmp_path.name]) == 11
    assert "3 pictures in test" in caplog.text
    assert "3 pictures in beside" in caplog.text
    assert "3 masks in ground_truth" in caplog.text


def test_sub_folders_of_a_plain_folder_may_show_defects(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, noise(9))
    write(tmp_path / "scratch", noise(3))
    (tmp_path / "notes.txt").touch()
    assert len(find_products(tmp_path, unified=False)[tmp_path.name]) == 9
    assert caplog.messages == [f"{tmp_path}: passed over: 3 pictures in scratch, 1 other file (.txt)"]


def test_defects_below_train_are_not_learnt(tmp_path: Path) -> None:
    write(tmp_path / "train", noise(9))
    write(tmp_path / "train" / "bad", noise(3))
    assert len(find_products(tmp_path, unified=False)[tmp_path.name]) == 9


def test_several_products_are_told_to_use_unified(tmp_path: Path) -> None:
    for name in ("bolt", "nut"):
        write(tmp_path / name / "train" / "good", noise(8))
    with pytest.raises(UsageError, match=r"bolt, nut, .*--unified"):
        find_products(tmp_path, unified=False)


@pytest.mark.parametrize(
    ("images", "suffix", "color", "bits"),
    [
        (noise(8), ".png", "rgb", 8),
        (noise(8), ".jpg", "rgb", 8),
        (noise(8), ".bmp", "rgb", 8),
        (noise(8, (40, 48)), ".png", "gray", 8),
        ([np.dstack([i] * 3) for i in noise(8, (40, 48))], ".png", "gray", 8),
        (noise(8, (40, 48), 4096, np.uint16), ".png", "gray", 12),
        (noise(8, (40, 48, 3), 65536, np.uint16), ".tiff", "rgb", 16),
        (noise(8, (40, 48, 4)), ".png", "rgb", 8),
    ],
)
def test_colours_and_depths(tmp_path: Path, images, suffix: str, color: str, bits: int) -> None:
    found = survey({"p": sorted(write(tmp_path, images, suffix).iterdir())})
    assert (found.color, found.bits, len(found.samples)) == (color, bits, 8)
    assert found.shapes == ((40, 48),)


def test_copies_count_once_and_broken_files_are_named(tmp_path: Path) -> None:
    images = noise(10)
    write(tmp_path, [*images, images[0]])
    (tmp_path / "zzz.png").write_bytes(b"not a picture")
    found = survey({"p": sorted(tmp_path.iterdir())})
    assert len(found.samples) == 10
    assert len(found.unreadable) == 1
    assert "zzz.png" in found.unreadable[0]


def test_the_split_hangs_on_content_and_hardly_moves(tmp_path: Path) -> None:
    images = noise(50)
    before = survey({"p": sorted(write(tmp_path / "a", images).iterdir())})
    renamed = survey({"p": sorted(write(tmp_path / "b", images[::-1]).iterdir())})
    held_out = {s.sha256 for s in before.samples if s.calibration}
    assert len(held_out) == 10
    assert held_out == {s.sha256 for s in renamed.samples if s.calibration}
    more = survey({"p": sorted(write(tmp_path / "c", [*images, *noise(5, top=200)]).iterdir())})
    assert len(held_out & {s.sha256 for s in more.samples if s.calibration}) >= 8


@pytest.mark.parametrize(
    ("make", "unified", "message"),
    [
        (lambda p: None, False, "is not a folder"),
        (lambda p: p.mkdir(), False, "holds no pictures"),
        (lambda p: write(p / "one" / "good", noise(8)), False, "--unified"),
        (lambda p: write(p / "one", noise(8)), True, "at least two products"),
    ],
)
def test_wrong_folders(tmp_path: Path, make, unified: bool, message: str) -> None:
    make(tmp_path / "data")
    with pytest.raises(UsageError, match=message):
        find_products(tmp_path / "data", unified)


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\nb", b"a\x1bb", "a\u2028b".encode()])
def test_names_that_are_no_plain_text_are_left_out_by_name(tmp_path: Path, name: bytes) -> None:
    write(tmp_path / "p", noise(9))
    (tmp_path / "p" / "003.png").rename(tmp_path / "p" / (os.fsdecode(name) + ".png"))
    found = survey(find_products(tmp_path / "p", unified=False))
    assert len(found.samples) == 8
    assert [line.isprintable() and "rename it" in line for line in found.unreadable] == [True]
    (tmp_path / "p").rename(tmp_path / os.fsdecode(name))
    with pytest.raises(UsageError, match="rename it"):
        find_products(tmp_path / os.fsdecode(name), unified=False)


def test_too_few_pictures(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="take at least 8"):
        survey({"p": sorted(write(tmp_path, noise(7)).iterdir())})
