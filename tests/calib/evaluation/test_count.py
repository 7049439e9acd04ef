from __future__ import annotations

import pytest

from edgeirf.calib.evaluation.count import Count


def test_the_bounds_hold_the_measured_rate() -> None:
    count = Count(1, 20)
    assert count.rate == 0.05
    assert count.at_least is not None
    assert count.at_most is not None
    assert count.at_least < 0.05 < count.at_most
    assert count.to_json()["upper_bound"] == count.at_most


def test_no_event_still_allows_some() -> None:
    assert Count(0, 59).at_most == pytest.approx(0.0495, abs=1e-4)  # the rule of three


def test_nothing_measured_says_nothing() -> None:
    nothing = Count(0, 0)
    assert (nothing.rate, nothing.at_least, nothing.at_most) == (None, None, None)
