from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from edgeirf.calib.evaluation.binomial import lower_bound, upper_bound


@pytest.mark.parametrize(
    ("events", "trials", "upper"),
    [(0, 50, 0.0582), (0, 1, 0.95), (0, 299, 0.00997), (50, 50, 1.0), (1, 20, 0.2161), (0, 0, 1.0)],
)
def test_upper_bound_by_hand(events: int, trials: int, upper: float) -> None:
    """Without events the bound is 1 - 0.05^(1 / n): the rule of three, exactly."""
    assert upper_bound(events, trials) == pytest.approx(upper, abs=5e-5)
    if events == 0 and trials:
        assert upper_bound(events, trials) == pytest.approx(1 - 0.05 ** (1 / trials), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3000), st.floats(0, 1), st.sampled_from([0.9, 0.95, 0.999]))
def test_bounds_are_quantiles_of_the_beta_law(trials: int, share: float, confidence: float) -> None:
    events = round(share * trials)
    upper = stats.beta.ppf(confidence, events + 1, trials - events) if events < trials else 1.0
    lower = stats.beta.ppf(1 - confidence, events, trials - events + 1) if events else 0.0
    assert upper_bound(events, trials, confidence) == pytest.approx(upper, abs=1e-7)
    assert lower_bound(events, trials, confidence) == pytest.approx(lower, abs=1e-7)


@pytest.mark.parametrize(("events", "trials"), [(-1, 5), (6, 5)])
def test_what_is_no_count(events: int, trials: int) -> None:
    with pytest.raises(ValueError, match="no count"):
        upper_bound(events, trials)
