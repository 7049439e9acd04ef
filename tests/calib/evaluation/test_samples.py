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


def put(root: Path, names: str) -> None:
    """Writes a picture of one gray value for each name; masks are white."""
    for name in names.split():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / name), np.full((8, 8), 255, np.uint8))


LAYOUTS = {
    "MVTec AD": ("test/good/000.png test/cut/000.png ground_truth/cut/000_mask.png", 1),
    "MVTec AD 2": (
        "test_public/good/0_regular.png test_public/bad/0_regular.png test_public/ground_truth/bad/0_regular_mask.png",
        1,
    ),
    "MVTec LOCO": (
        "test/good/0.png test/logical_anomalies/000.png test/logical_anomalies/001.png "
        "ground_truth/logical_anomalies/000/000.png ground_truth/logical_anomalies/000/001.png "
        "ground_truth/logical_anomalies/001/000.png",
        3,
    ),
    "VisA": ("Data/Images/Normal/000.JPG Data/Images/Anomaly/000.JPG Data/Masks/Anomaly/000.png", 1),
    "VisA, one class": ("test/good/1.JPG test/bad/000.JPG ground_truth/bad/000.png", 1),
    "BTAD": ("test/ok/1.bmp test/ko/0000.bmp ground_truth/ko/0000.png", 1),
    "BTAD 02": ("test/ok/1.png test/ko/0000.png ground_truth/ko/0000.bmp", 1),
    "tif": ("test/GOOD/1.png test/cut/1.png Ground_Truth/Cut/1_mask.tif", 1),
    "several": ("ok/1.png cut/1.png cut/1_1.png masks/cut/1_mask_0.png masks/cut/1_mask_1.bmp masks/cut/1_1.png", 3),
    "flat masks": ("good/1.png cut/x7.jpg masks/x7.png", 1),
    "beside": ("good/1.png cut/1.png cut/1_mask.png", 1),
    "deep": ("test/good/a/1.png test/cut/b/2.png ground_truth/cut/b/2_mask.png", 1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_public_sets(tmp_path: Path, layout: str) -> None:
    names, masks = LAYOUTS[layout]
    put(tmp_path / "set", names)
    samples = find_samples(tmp_path / "set")
    assert [s.defect for s in samples].count(GOOD) == 1
    assert sum(len(s.masks) for s in samples) == masks
    assert all(s.masks for s in samples if s.defect != GOOD)


def test_several_masks_belong_to_the_picture_that_they_name(tmp_path: Path) -> None:
    put(tmp_path, LAYOUTS["MVTec LOCO"][0] + " " + "ground_truth/logical_anomalies/001/001.png")
    masks = {s.path.stem: [str(m.parent.name) for m in s.masks] for s in find_samples(tmp_path) if s.masks}
    assert masks == {"000": ["000", "000"], "001": ["001", "001"]}


def test_several_masks_count_together(tmp_path: Path) -> None:
    for number in range(2):
        mask = np.zeros((4, 4), np.uint8)
        mask[number, number] = 1
        cv2.imwrite(str(tmp_path / f"{number}.png"), mask)
    sample = Sample(Path("x.png"), "hole", (tmp_path / "0.png", tmp_path / "1.png"))
    np.testing.assert_array_equal(read_mask(sample, (4, 4)), np.diag([True, True, False, False]))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("good/1.png good_parts/2.png", "good_parts"),
        ("good/1.png scratch/2.png unknown/3.png", "unknown"),
        ("good/1.png loose.png", "1 pictures directly in"),
        ("0/1.png 1/1.png", "folder .*/0 holds good parts or defects"),
        ("bolt/test/good/1.png nut/test/good/1.png", r"several products \(bolt, nut\)"),
        ("fine/1.png scratch/2.png", "no folder in .* is named like one of good parts"),
        ("testing/good/1.png testing/scratch/2.png", "folder .*/testing holds good parts or defects"),
    ],
)
def test_what_has_no_role_is_refused_by_name(tmp_path: Path, names: str, message: str) -> None:
    put(tmp_path, names)
    with pytest.raises(UsageError, match=message) as caught:
        find_samples(tmp_path)
    assert "\n" not in str(caught.value)


def test_numbers_beside_good_parts_are_defect_types(tmp_path: Path) -> None:
    put(tmp_path, "good/1.png 01/1.png 02/1.png")
    assert [s.defect for s in find_samples(tmp_path)] == [GOOD, "01", "02"]


@pytest.mark.parametrize(
    "mask", ["bad/masks/1.png", "bad_mask/1.png", "annotation/bad/1.png", "anomaly_masks/bad/1_gt.png", "label/1.png"]
)
def test_masks_are_found_and_are_no_defect_type(tmp_path: Path, mask: str) -> None:
    put(tmp_path, f"good/1.png bad/1.png bad2/2.png {mask}")
    assert [(s.defect, len(s.masks)) for s in find_samples(tmp_path)] == [(GOOD, 0), ("bad", 1), ("bad2", 0)]


def test_a_mask_that_belongs_to_no_picture_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, "good/1.png cut/1.png ground_truth/cut/2_mask.png ground_truth/good/1_mask.png")
    find_samples(tmp_path)
    assert caplog.messages == [f"{tmp_path}/ground_truth: 1 masks belong to no picture, 2_mask.png for one"]


def test_what_is_not_evaluated_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, "good/1.png cut/1.png cut/1_mask.png cut/.old/2.png")
    (tmp_path / "good" / "notes.txt").touch()
    find_samples(tmp_path)
    assert caplog.messages == [
        f"{tmp_path}/good: passed over: 1 other file (.txt)",
        f"{tmp_path}/cut: passed over: 1 in hidden folders",
    ]


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
