from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from adeval.au_pro import calculate_au_pro
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from edgeirf.calib.evaluation.metrics import UNDEFINED
from edgeirf.calib.evaluation.pixel_metrics import RESOLUTION, PixelScores, bins_of

Maps = list[NDArray[np.float32]]
Masks = list[NDArray[np.bool_] | None]


def made_up(seed: int, *, size: tuple[int, int] = (60, 70), contrast: float = 1.5) -> tuple[Maps, Masks]:
    """Four maps of defective parts with one to three regions each, two of good ones; scores overlap."""
    rng = np.random.default_rng(seed)
    maps, masks = [], []
    for part in range(6):
        mask = np.zeros(size, bool)
        for _ in range(rng.integers(1, 4) if part < 4 else 0):
            y, x = rng.integers(0, size[0] - 10), rng.integers(0, size[1] - 12)
            mask[y : y + rng.integers(2, 10), x : x + rng.integers(2, 12)] = True
        scores = rng.gamma(9, 10, size) * np.where(mask, contrast, 1)
        maps.append(scores.astype(np.float32))
        masks.append(mask if part < 4 else None)
    return maps, masks


def counted(maps: Maps, masks: Masks) -> PixelScores:
    pixels = PixelScores()
    for scored_map, mask in zip(maps, masks, strict=True):
        pixels.add(scored_map, mask)
    return pixels


def full_masks(maps: Maps, masks: Masks) -> list[NDArray[np.bool_]]:
    return [np.zeros(m.shape, bool) if mask is None else mask for m, mask in zip(maps, masks, strict=True)]


@pytest.mark.parametrize("contrast", [0.7, 1.0, 1.5, 4.0])
def test_figures_against_scikit_learn_on_every_pixel(contrast: float) -> None:
    maps, masks = made_up(1, contrast=contrast)
    labels, scores = np.ravel(full_masks(maps, masks)), np.ravel(maps)
    precision, recall, _ = metrics.precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    found = counted(maps, masks).ranking()
    assert found.auroc == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-5)
    assert found.ap == pytest.approx(metrics.average_precision_score(labels, scores), abs=5e-4)
    assert found.f1max == pytest.approx(f1.max(), abs=5e-4)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("contrast", [0.7, 1.0, 1.5, 4.0])
@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_aupro_against_the_reference(seed: int, contrast: float, limit: float) -> None:
    """MVTec's own evaluation code, as packaged in adeval, with one threshold for every pixel."""
    maps, masks = made_up(seed, contrast=contrast)
    labels = [mask.astype(np.uint8) for mask in full_masks(maps, masks)]
    expected, _ = calculate_au_pro(labels, maps, integration_limit=limit, num_thresholds=sum(m.size for m in maps))
    assert counted(maps, masks).aupro(limit) == pytest.approx(expected, abs=2e-4)


def test_aupro_by_hand() -> None:
    """Two regions of 1 and 3 pixels, six good pixels, one of them above the larger region."""
    scored = np.array([[9.0, 0, 8, 0, 5, 5, 5, 0, 0, 0]], np.float32)
    mask = np.array([[1, 0, 0, 0, 1, 1, 1, 0, 0, 0]], bool)
    # Overlap 1/2 at rate 0, still 1/2 at 1/6 (the good pixel of 8), then 1 at 1/6, 1 to the end.
    assert counted([scored], [mask]).aupro(0.3) == pytest.approx((0.5 / 6 + 1.0 * (0.3 - 1 / 6)) / 0.3)


@pytest.mark.parametrize(("contrast", "expected"), [(1e6, 1.0), (1e-6, 0.0)])
def test_aupro_of_perfect_and_of_inverted_maps(contrast: float, expected: float) -> None:
    assert counted(*made_up(0, contrast=contrast)).aupro() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("masks", "why"),
    [
        ([None], "good parts only"),
        ([np.zeros((4, 4), bool)], "an empty mask"),
        ([np.ones((4, 4), bool)], "no good pixel"),
        ([], "nothing"),
    ],
)
def test_undefined_figures_are_none(masks: Any, why: str) -> None:
    pixels = counted([np.ones((4, 4), np.float32)] * len(masks), masks)
    assert pixels.ranking() is UNDEFINED, why
    assert pixels.aupro() is None, why


def test_parts_add_up_in_any_order() -> None:
    maps, masks = made_up(3)
    maps = [scored * 10.0**power for power, scored in zip((0, 3, -3, 1, 0, 2), maps, strict=True)]
    whole = counted(maps, masks)
    split = counted(maps[4:], masks[4:]) + counted(maps[:2], masks[:2]) + PixelScores() + counted(maps[2:4], masks[2:4])
    assert split.ranking() == whole.ranking()
    assert split.aupro() == whole.aupro()
    assert split.regions == whole.regions


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=300)
@given(floats, floats)
def test_bins_keep_the_order(a: float, b: float) -> None:
    low, high = sorted((a, b))
    bins = bins_of(np.array([low, high], np.float32))
    assert bins[0] <= bins[1]
    smallest_normal = 2.0**-126
    if low > smallest_normal and high >= low * (1 + 2 * RESOLUTION):
        assert bins[0] < bins[1]


def test_zero_has_one_bin() -> None:
    bins = bins_of(np.array([-0.0, 0.0], np.float32))
    assert bins[0] == bins[1]


def test_memory_does_not_grow_with_the_maps() -> None:
    pixels, rng = PixelScores(), np.random.default_rng(0)
    for _ in range(20):
        pixels.add((rng.gamma(9, 10, (200, 200))).astype(np.float32), None)
    assert pixels._counts.nbytes < 8 * 2**20
