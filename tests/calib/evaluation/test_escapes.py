"""Escapes at given false-reject rates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.calib.evaluation.count import Count
from edgeirf.calib.evaluation.escapes import RATES, escapes_at

SCORES = st.lists(st.integers(0, 30).map(float), min_size=1, max_size=60).map(np.array)


def test_two_hundred_good_parts_resolve_every_rate() -> None:
    found = escapes_at(np.arange(200.0), np.arange(180.0, 210.0))
    assert [(one.rate, one.false_rejects.events, one.escapes.events) for one in found] == [
        ("0.005", 1, 19),
        ("0.01", 2, 18),
        ("0.02", 4, 16),
        ("0.05", 10, 10),
    ]
    assert all(one.resolved for one in found)


@pytest.mark.parametrize(("good", "resolved"), [(19, 0), (20, 1), (49, 1), (50, 2), (100, 3), (200, 4)])
def test_a_rate_is_resolved_where_one_good_part_is_that_share(good: int, resolved: int) -> None:
    found = escapes_at(np.arange(float(good)), np.array([1.0]))
    assert [one.resolved for one in found] == [False] * (4 - resolved) + [True] * resolved
    assert [one.false_rejects.events > 0 for one in found] == [one.resolved for one in found]


@given(SCORES, SCORES)
def test_never_more_false_rejects_than_the_rate_and_never_fewer_escapes_at_a_stricter_one(
    good: np.ndarray, defective: np.ndarray
) -> None:
    found = escapes_at(good, defective)
    assert [one.rate for one in found] == list(RATES)
    for one in found:
        assert one.false_rejects.events <= float(one.rate) * len(good) + 1e-9
        lower = good[good < one.threshold]  # no smaller good score could be the threshold
        if len(lower):
            assert (good > lower.max()).sum() > float(one.rate) * len(good)
    escapes = [one.escapes.events for one in found]
    assert escapes == sorted(escapes, reverse=True)


def test_one_class_alone_has_none() -> None:
    assert escapes_at(np.array([]), np.array([1.0])) == escapes_at(np.array([1.0]), np.array([])) == ()


def test_json_has_count_bounds_and_whether_it_is_resolved() -> None:
    found = escapes_at(np.arange(50.0), np.arange(40.0, 60.0))[2].to_json()
    count = Count(9, 20)
    assert (found["count"], found["of"], found["rate"], found["resolved"]) == (9, 20, 0.45, True)
    assert (found["lower_bound"], found["upper_bound"]) == (count.at_least, count.at_most)
    assert found["threshold"] == 48
