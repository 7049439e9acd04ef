from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeirf.runtime.monitor.sequential import Ranks, ShiftTest


def ranks_of(values: list[float], seed: int = 0) -> list[float]:
    ranks = Ranks(0.01, np.random.default_rng(seed))
    return [ranks.rank(value) for value in values]


@pytest.mark.parametrize("draw", ["normal", "integers"])
def test_ranks_of_an_exchangeable_stream_are_uniform_and_independent_also_with_ties(draw: str) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=4000) if draw == "normal" else rng.integers(0, 3, 4000) * 1.0
    ranks = np.array(ranks_of(values.tolist()))
    counts = np.histogram(ranks, 10, (0, 1))[0]
    assert ((counts - 400) ** 2 / 400).sum() < 27.9  # chi-squared, 9 degrees: 0.1 %
    assert abs(np.corrcoef(ranks[:-1], ranks[1:])[0, 1]) < 0.05


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_every_rank_lies_inside_0_to_1_whatever_the_values(values: list[float]) -> None:
    assert all(0 < rank <= 1 for rank in ranks_of(values))


def test_seeded_values_count_and_unkept_ones_do_not() -> None:
    ranks = Ranks(0.01, np.random.default_rng(0))
    ranks.seed([1.0] * 9)
    assert [ranks.rank(2.0, keep=False) <= 0.1 for _ in range(20)] == [True] * 20
    ranks.clear()
    assert ranks.total == 0


def test_the_mean_sum_of_a_uniform_stream_grows_like_the_number_of_parts() -> None:
    """The property behind the false-alarm rate: R_t - t is a martingale."""
    rng = np.random.default_rng(2)
    sums = []
    for _ in range(1500):
        test = ShiftTest("up", np.inf)
        for rank in rng.random(20):
            test.add(float(rank))
        sums.append(test._sums[:2].mean())  # the largest stake has too heavy a tail for so few runs
    assert np.mean(sums) == pytest.approx(20, abs=4 * np.std(sums) / np.sqrt(len(sums)))


def test_false_alarms_are_rarer_than_stated() -> None:
    """200,000 uniform ranks at one false alarm in 5,000 parts: at most 40 are due."""
    ranks = np.random.default_rng(3).random(200_000)
    test = ShiftTest("up", 5000)
    alarms = sum(test.add(rank) for rank in ranks.tolist())
    assert 1 <= alarms <= 40


@settings(deadline=None)
@given(st.floats(0.001, 0.15))
def test_a_sudden_shift_is_found_within_forty_parts(rank: float) -> None:
    up, down = ShiftTest("up", 1e6), ShiftTest("down", 1e6)
    assert any(up.add(rank) for _ in range(40))
    assert any(down.add(1 - rank) for _ in range(40))


def test_a_test_looks_one_way_only_and_leaves_small_shifts_alone() -> None:
    test = ShiftTest("up", 1e6)
    assert not any(test.add(0.95) for _ in range(1000))
    rng = np.random.default_rng(4)
    assert not any(test.add(min(1.0, float(rank) * 0.98)) for rank in rng.random(20_000))
