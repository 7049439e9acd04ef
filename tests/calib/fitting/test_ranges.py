from __future__ import annotations

import numpy as np
import pytest

from edgeirf.calib.fitting.ranges import BINS, METHODS, Histogram, Method, value_range
from edgeirf.errors import EdgeirfError


def histogram(*pictures: np.ndarray) -> Histogram:
    found = Histogram()
    for picture in pictures:
        found.add(picture.astype(np.float32))
    return found


def test_extremes_are_of_every_value_and_the_bins_grow() -> None:
    rng = np.random.default_rng(0)
    small, large = rng.uniform(-1, 1, 1000), rng.uniform(-50, 20, 1000)
    found = histogram(small, large)
    assert (found.lowest, found.highest) == (np.float32(large.min()), np.float32(large.max()))
    assert found.limit >= 49
    assert found.counts.sum() == 2000
    expected = np.count_nonzero(np.abs(np.concatenate([small, large])) < found.limit / 2)
    assert abs(int(found.counts[: BINS // 2].sum()) - expected) <= 2


def test_large_tensors_are_sampled_but_their_extremes_are_not() -> None:
    values = np.zeros(2**20)
    values[12345] = 7.0
    found = histogram(values)
    assert found.highest == 7.0
    assert found.counts.sum() < 2**17


@pytest.mark.parametrize("method", METHODS)
def test_zero_is_inside_and_ranges_of_clipped_values_stay_one_sided(method: Method) -> None:
    low, high = value_range(histogram(np.clip(np.random.default_rng(1).normal(2, 1, 10_000), 0, 6)), method)
    assert low == 0.0
    assert 2 < high <= 6


def test_outliers_do_not_stretch_percentile_and_entropy() -> None:
    values = np.append(np.random.default_rng(2).normal(0, 1, 30_000), 80.0)
    reach = {method: value_range(histogram(values), method)[1] for method in METHODS}
    assert reach["minmax"] == 80.0
    assert 3 < reach["percentile"] < 10
    assert 2 < reach["entropy"] < 20


@pytest.mark.parametrize("method", METHODS)
def test_nothing_but_zeros(method: Method) -> None:
    low, high = value_range(histogram(np.zeros(10)), method)
    assert low == high == 0.0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(value: float) -> None:
    with pytest.raises(EdgeirfError, match="not finite"):
        histogram(np.array([0.0, value]))
