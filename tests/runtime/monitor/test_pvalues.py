from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeirf.runtime.monitor.pvalues import ScoreWatch


def scores(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Of good parts: log-normal."""
    return np.exp(rng.normal(5, 0.3, count))


def alarm(line: NDArray[np.float64], calibration: NDArray[np.float64], length: float) -> tuple[int, str] | None:
    """Part and trend of the first alarm."""
    watch = ScoreWatch(calibration.tolist(), length)
    for at, score in enumerate(line.tolist()):
        if trend := watch.add(score):
            return at, trend
    return None


@pytest.mark.parametrize("odds", [0.0, 0.03])
def test_false_alarms_stay_below_the_stated_rate_with_a_small_calibration_set(odds: float) -> None:
    """12 lines of 1000 parts with 41 calibration parts each, also with 3 % defective parts: 12 alarms are allowed."""
    found = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        line = scores(rng, 1000) * np.where(rng.random(1000) < odds, 20, 1)
        found += alarm(line, scores(rng, 41), 1000) is not None
    assert found <= 6


def test_lines_that_score_below_the_calibration_raise_no_alarm() -> None:
    """A calibration score is the larger one of two pictures: the line's parts are usually below."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        assert alarm(scores(rng, 800), scores(rng, 41) * 1.5, 1e4) is None


@pytest.mark.parametrize(("factor", "trend", "delay"), [(1.5, "higher", 80), (3, "higher", 60), (0.6, "lower", 60)])
def test_a_sudden_change_is_found_soon(factor: float, trend: str, delay: int) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        line = scores(rng, 800)
        line[400:] *= factor
        found = alarm(line, scores(rng, 41), 1e6)
        assert found is not None
        assert 400 <= found[0] < 400 + delay
        assert found[1] == trend


def test_a_slow_rise_is_found_before_it_is_large() -> None:
    rng = np.random.default_rng(0)
    line = scores(rng, 2000) * np.linspace(1, 2, 2000)
    found = alarm(line, scores(rng, 41), 1e6)
    assert found is not None
    assert found[0] < 1000  # a factor of 1.5; the scores' own standard deviation is 1.35


def test_an_alarm_stands_until_the_parts_are_back_to_normal() -> None:
    rng = np.random.default_rng(1)
    watch = ScoreWatch(scores(rng, 41).tolist(), 1e6)
    assert math.isnan(watch.mean_rank)
    states = [watch.add(score) for score in (scores(rng, 1200) * np.repeat([1, 4, 1], 400)).tolist()]
    assert states[799] == "higher"
    assert states[799 - 300 : 800] == ["higher"] * 301  # parts in an alarm are not learned from
    assert states[-1] is None
    assert 0.2 < watch.mean_rank < 0.8


def test_an_accepted_state_is_the_usual_one() -> None:
    rng = np.random.default_rng(2)
    watch = ScoreWatch(scores(rng, 41).tolist(), 1e6)
    for score in (scores(rng, 100) * 4).tolist():
        watch.add(score)
    assert watch.trend == "higher"
    watch.accept()
    assert [watch.add(score) for score in (scores(rng, 200) * 4).tolist()] == [None] * 200
