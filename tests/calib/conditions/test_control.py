"""The control for confounded sets."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeirf.calib.conditions.control import Control, away, control, corners
from edgeirf.calib.conditions.perturb import Change
from edgeirf.calib.conditions.shallow import GRID, shallow_features

SIZE = 96
Image = NDArray[np.uint8]


def part(seed: int) -> Image:
    """A rough plate under slightly varying light."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(0, 20, (SIZE, SIZE, 3)).astype(np.float32), (0, 0), 1.0)
    return np.clip(120 + rng.normal(0, 3) + noise, 0, 255).astype(np.uint8)


def hole(image: Image) -> tuple[Image, NDArray[np.bool_]]:
    """A black hole in the middle, and its mask."""
    mask = np.zeros((SIZE, SIZE), bool)
    mask[40:60, 40:60] = True
    return np.where(mask[..., None], np.uint8(0), image), mask


def measure(change: Change, reference: int = 40, count: int = 30) -> Control:
    """Defective parts are changed all over, and have a hole."""
    good = [shallow_features(part(seed)) for seed in range(count)]
    holes = [hole(change(part(100 + seed))) for seed in range(count)]
    others = [shallow_features(part(1000 + seed)) for seed in range(reference)]
    found = control(good, [shallow_features(image) for image, _ in holes], [away(mask) for _, mask in holes], others)
    assert found is not None
    return found


@pytest.mark.parametrize("reference", [0, 40])
def test_a_defect_under_its_mask_is_not_seen(reference: int) -> None:
    found = measure(Change(), reference)
    assert not found.differs
    assert abs(found.auroc - 0.5) < 0.25


@pytest.mark.parametrize("reference", [0, 40])
@pytest.mark.parametrize(
    "change",
    [
        Change(brightness=-0.2),
        Change(blur_px=0.8),
        Change(noise_levels=8),
        Change(jpeg_quality=50),
    ],
    ids=["darker", "blurred", "noisy", "jpeg"],
)
def test_pictures_taken_or_stored_differently_are_named(change: Change, reference: int) -> None:
    found = measure(change, reference)
    assert found.differs
    assert found.auroc > 0.8


def test_too_few_pictures_have_no_control() -> None:
    image = shallow_features(part(0))
    assert control([image] * 7, [image] * 9, [corners()] * 9) is None
    assert control([image] * 9, [image] * 7, [corners()] * 7) is None
    assert control([image] * 9, [image] * 9, [np.zeros((GRID, GRID), bool)] * 9) is None


def test_pictures_that_are_all_alike_are_fair() -> None:
    image = shallow_features(part(0))
    found = control([image] * 9, [image] * 9, [corners()] * 9)
    assert found == Control(0.5, 9, 9)


def test_a_mask_keeps_its_margin() -> None:
    mask = np.zeros((320, 640), bool)
    mask[0:20, 0:40] = True
    free = away(mask)
    assert not free[:2, :2].any()
    assert free[2:].all()
    assert free[:, 2:].all()
    assert corners().sum() == GRID * GRID / 4


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (7, 9, 1), (20, 30, 3), (300, 200, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_features_of_any_picture_are_finite(shape: tuple[int, ...], dtype: type[np.uint8]) -> None:
    for value in (0, 100, np.iinfo(dtype).max):
        found = shallow_features(np.full(shape, value, dtype))
        assert found.shape == (GRID, GRID, 16)
        assert np.isfinite(found).all()
    assert away(np.zeros(shape[:2], bool)).all()


def test_sixteen_bits_see_what_eight_see() -> None:
    image = part(0)
    expected = shallow_features(image)
    assert shallow_features(image.astype(np.uint16) * 257) == pytest.approx(expected, abs=1e-3)
    assert shallow_features(image.astype(np.uint16) * 16, bits=12) == pytest.approx(expected, rel=0.005, abs=0.02)


@pytest.mark.parametrize(
    ("auroc", "good", "differs"), [(0.5, 100, False), (0.65, 20, False), (0.75, 200, True), (0.25, 200, True)]
)
def test_the_limit_knows_its_sampling_error(auroc: float, good: int, differs: bool) -> None:
    assert Control(auroc, good, good).differs is differs
