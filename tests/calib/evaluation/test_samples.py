from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeirf.calib.evaluation.samples import GOOD, Sample, find_samples, read_mask
from edgeirf.errors import EdgeirfError, UsageError

MakeFolder = Callable[..., Path]


def test_mvtec_layout(labelled: MakeFolder) -> None:
    root = labelled()
    samples = find_samples(root)
    assert [(s.defect, s.path.name) for s in samples[:7]] == [
        *((GOOD, f"{i}.png") for i in range(6)),
        ("hole", "0.png"),
    ]
    assert samples[6].mask == root / "ground_truth" / "hole" / "0_mask.png"
    assert all((s.mask is None) == (s.defect == GOOD) for s in samples)
    assert find_samples(root / "test") == samples


def test_without_test_folder_and_masks(labelled: MakeFolder) -> None:
    samples = find_samples(labelled("flat"))
    assert {s.defect for s in samples} == {GOOD, "hole", "stain"}
    assert all(s.mask is None for s in samples)


def test_masks_may_lack_the_suffix(labelled: MakeFolder) -> None:
    root = labelled()
    folder = root / "ground_truth" / "hole"
    (folder / "0_mask.png").rename(folder / "0.png")
    (folder / "1_mask.png").unlink()
    masks = [s.mask for s in find_samples(root) if s.defect == "hole"]
    assert masks == [folder / "0.png", None]


def test_training_pictures_and_hidden_folders_are_no_tests(labelled: MakeFolder) -> None:
    root = labelled("flat")
    for name in ("train", ".cache"):
        (root / name).mkdir()
        cv2.imwrite(str(root / name / "x.png"), np.zeros((8, 8), np.uint8))
    assert {s.defect for s in find_samples(root)} == {GOOD, "hole", "stain"}


@pytest.mark.parametrize("layout", ["absent", "a file", "empty", "images directly inside", "empty types"])
def test_what_is_no_test_folder(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "data"
    if layout == "a file":
        root.write_bytes(b"")
    elif layout != "absent":
        (root / "good" if layout == "empty types" else root).mkdir(parents=True)
    if layout == "images directly inside":
        cv2.imwrite(str(root / "x.png"), np.zeros((8, 8), np.uint8))
    with pytest.raises(UsageError, match=r"is not a folder|put good parts into .*good/") as caught:
        find_samples(root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [1, 128, 255])
@pytest.mark.parametrize("colour", [False, True])
def test_any_value_but_zero_is_defective(tmp_path: Path, value: int, colour: bool) -> None:
    image = np.zeros((4, 6), np.uint8)
    image[1, 2] = value
    cv2.imwrite(str(tmp_path / "m.png"), cv2.merge([image * 0, image, image * 0]) if colour else image)
    mask = read_mask(Sample(Path("x.png"), "hole", (tmp_path / "m.png",)), (4, 6, 3))
    assert mask is not None
    np.testing.assert_array_equal(mask, image > 0)


def test_a_mask_is_brought_to_the_size_of_its_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "m.png"), np.eye(2, dtype=np.uint8) * 255)
    mask = read_mask(Sample(Path("x.png"), "hole", (tmp_path / "m.png",)), (4, 4))
    np.testing.assert_array_equal(mask, np.kron(np.eye(2), np.ones((2, 2))) > 0)


def test_a_mask_of_other_proportions_belongs_to_another_image(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "m.png"), np.zeros((4, 6), np.uint8))
    with pytest.raises(EdgeirfError, match=r"m\.png is 6x4 pixels, x\.png 6x6"):
        read_mask(Sample(Path("x.png"), "hole", (tmp_path / "m.png",)), (6, 6))


def test_no_mask() -> None:
    assert read_mask(Sample(Path("x.png"), "hole"), (6, 6)) is None
