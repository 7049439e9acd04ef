from __future__ import annotations

import numpy as np
import pytest

from edgeirf.calib.promise import rate_at_most
from edgeirf.conformal import Calibration


def held_out(count: int, odd: int = 0) -> Calibration:
    values = tuple(map(float, range(count)))
    return Calibration(values, values, odd)


@pytest.mark.parametrize(
    ("count", "odd", "asked", "bound"),
    [
        (32, 0, 0.05, 1 - 0.05 ** (1 / 32)),  # the largest of 32 is the threshold: Beta(1, 32)
        (99, 0, 0.01, 1 - 0.05 ** (1 / 99)),
        (99, 1, 0.01, 0.0470),  # the second largest: Beta(2, 98)
        (19, 0, 0.5, 0.6799),  # the tenth of 19: Beta(10, 10)
    ],
)
def test_the_bound_is_the_quantile_of_the_order_statistic(count: int, odd: int, asked: float, bound: float) -> None:
    assert rate_at_most(held_out(count, odd), asked) == pytest.approx(bound, abs=1e-4)


@pytest.mark.parametrize(("count", "asked"), [(20, 0.05), (60, 0.05), (60, 0.2)])
def test_as_many_draws_keep_the_bound_as_the_confidence_says(count: int, asked: float) -> None:
    rng, draws = np.random.default_rng(0), 4000
    scores = np.sort(rng.uniform(size=(draws, count)))
    rank = held_out(count).scores.index(held_out(count).score_threshold(asked))
    true_rates = 1 - scores[:, rank]  # a uniform score is above a threshold t with probability 1 - t
    kept = np.mean(true_rates <= rate_at_most(held_out(count), asked))
    assert kept == pytest.approx(0.95, abs=3 * (0.95 * 0.05 / draws) ** 0.5)
