from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.conformal import Calibration, check_rate, conformal_quantile
from edgeirf.errors import UsageError


def calibration(values: list[float]) -> Calibration:
    return Calibration(tuple(sorted(values)), tuple(sorted(values)))


TEN_TO_NINETY = tuple(float(v) for v in range(10, 100, 10))  # n = 9, so (n + 1)(1 - alpha) is easy by hand


@pytest.mark.parametrize(
    ("rate", "threshold"),
    [
        # ceil(10 * (1 - rate))-th smallest of 10, 20, ... 90
        (0.5, 50.0),
        (0.45, 60.0),  # ceil(5.5) = 6
        (0.3, 70.0),  # 7 on paper, 7.000000000000001 in floating point
        (0.2, 80.0),
        (0.11, 90.0),  # ceil(8.9) = 9
        (0.1, 90.0),  # the smallest rate that 9 parts can promise
        (0.05, 90.0),  # n allows no less: the largest
        (0.999, 10.0),
    ],
)
def test_threshold_by_hand(rate: float, threshold: float) -> None:
    assert conformal_quantile(TEN_TO_NINETY, rate) == threshold


@pytest.mark.parametrize(
    ("score", "p_value"),
    [(0.0, 1.0), (10.0, 1.0), (10.5, 0.9), (50.0, 0.6), (89.0, 0.2), (90.0, 0.2), (90.5, 0.1), (math.inf, 0.1)],
)
def test_p_value_by_hand(score: float, p_value: float) -> None:
    assert calibration(list(TEN_TO_NINETY)).p_value(score) == p_value


def test_ties_count_as_at_least_as_high() -> None:
    tied = calibration([1.0, 1.0, 1.0, 2.0])
    assert tied.p_value(1.0) == 1.0
    assert tied.p_value(1.5) == 0.4
    assert tied.score_threshold(0.5) == 1.0


@pytest.mark.parametrize(("count", "asked", "promised"), [(99, 0.01, 0.01), (98, 0.01, 1 / 99), (1, 0.01, 0.5)])
def test_the_rate_promised_is_never_less_than_n_allows(count: int, asked: float, promised: float) -> None:
    parts = calibration([float(v) for v in range(count)])
    assert parts.count == count
    assert parts.rate(asked) == promised
    assert parts.smallest_rate == 1 / (count + 1)
    if asked < parts.smallest_rate:
        assert parts.score_threshold(asked) == parts.scores[-1]


scores = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=60)
rates = st.floats(1e-6, 1 - 1e-6)


@given(scores, rates, st.integers(-25, 25).map(float))
def test_rejecting_is_a_p_value_at_most_the_promised_rate(values: list[float], rate: float, score: float) -> None:
    """Threshold and p-value are two readings of one rule; ties and too few parts included."""
    parts = calibration(values)
    # The p-value is a fraction of n + 1: the slack is for the rounding of rate * (n + 1), far below one step of it.
    assert (score > parts.score_threshold(rate)) == (parts.p_value(score) <= parts.rate(rate) * (1 + 1e-8) + 1e-9)


@given(scores, rates, rates)
def test_a_lower_rate_never_lowers_the_threshold(values: list[float], one: float, other: float) -> None:
    parts = calibration(values)
    low, high = sorted((one, other))
    assert parts.score_threshold(low) >= parts.score_threshold(high)


@given(st.integers(1, 400), st.integers(1, 400))
def test_whole_ranks_are_not_rounded_up(count: int, numerator: int) -> None:
    """With alpha = m / (n + 1) the rank is n + 1 - m exactly, whatever the floating-point value of alpha."""
    m = min(numerator, count)
    values = tuple(float(v) for v in range(1, count + 1))
    exact = math.ceil((count + 1) * (1 - Fraction(m, count + 1)))
    assert conformal_quantile(values, m / (count + 1)) == values[exact - 1]


@pytest.mark.parametrize(("count", "rate"), [(50, 0.05), (152, 0.01), (152, 0.1), (19, 0.05)])
def test_held_out_false_rejects_keep_the_promise_over_200_splits(count: int, rate: float) -> None:
    """Mean false-reject rate over 200 random splits against its exact expectation, (n + 1 - rank) / (n + 1) <= alpha.

    A split's rate given its calibration half is Beta distributed (Vovk 2012); the bound below is four standard errors
    of the mean of 200 such rates plus the test halves' own sampling error.
    """
    rng, held_out, splits = np.random.default_rng(0), 200, 200
    measured = []
    for _ in range(splits):
        pool = rng.gumbel(size=count + held_out)  # a skewed law, as scores are; any continuous one gives the same
        threshold = calibration(pool[:count].tolist()).score_threshold(rate)
        measured.append(float(np.mean(pool[count:] > threshold)))
    rank = math.ceil((count + 1) * (1 - rate) - 1e-9)
    expected = (count + 1 - rank) / (count + 1)
    variance = expected * (1 - expected) * (1 / (count + 2) + 1 / held_out)
    assert expected <= rate + 1e-12
    assert np.mean(measured) == pytest.approx(expected, abs=4 * math.sqrt(variance / splits))


def test_scores_and_peaks_have_thresholds_of_their_own() -> None:
    parts = Calibration(scores=(1.0, 2.0, 3.0), peaks=(10.0, 20.0, 30.0))
    assert parts.score_threshold(0.5) == 2.0
    assert parts.pixel_threshold(0.5) == 20.0


@pytest.mark.parametrize(
    ("values", "peaks"),
    [((), ()), ((2.0, 1.0), (1.0, 2.0)), ((1.0,), (1.0, 2.0)), ((math.nan,), (1.0,)), ((1.0,), (math.inf,))],
)
def test_what_is_no_calibration(values: tuple[float, ...], peaks: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"calibration values|one peak"):
        Calibration(values, peaks)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 1.1, math.nan, math.inf])
def test_what_is_no_rate(rate: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        check_rate(rate)
    with pytest.raises(UsageError, match="between 0 and 1"):
        calibration([1.0]).score_threshold(rate)


def test_an_odd_part_sets_no_threshold_and_widens_the_promise() -> None:
    scores = (*(float(i) for i in range(53)), 997.0)
    usual, wary = Calibration(scores, scores), Calibration(scores, scores, odd=1)
    assert usual.score_threshold(0.01) == 997
    assert usual.rate(0.01) == pytest.approx(1 / 55)
    assert wary.score_threshold(0.01) == wary.pixel_threshold(0.01) == 52
    assert wary.rate(0.01) == pytest.approx(2 / 55)
    assert wary.score_threshold(0.2) == usual.score_threshold(0.2)
    assert wary.p_value(100) == usual.p_value(100) == pytest.approx(2 / 55)


@pytest.mark.parametrize("odd", [-1, 3])
def test_not_every_part_is_odd(odd: int) -> None:
    with pytest.raises(ValueError, match="odd"):
        Calibration((1.0, 2.0, 3.0), (1.0, 2.0, 3.0), odd)
