from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeirf.calib.evaluation.metrics import roc
from edgeirf.runtime.render.charts import BINS, Axis, _edges, _score_axis, histogram, roc_curve

scores = st.lists(st.floats(-1e6, 1e6), max_size=20)


def heights(svg: ElementTree.Element, kind: str) -> list[float]:
    return [float(bar.attrib["height"]) for bar in svg.findall(f"g[@class='{kind}']/rect")]


@settings(max_examples=150, deadline=None)
@given(scores, scores, st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(-1e6, 1e6))
def test_any_scores_give_a_picture(good: list[float], bad: list[float], held_out: list[float], at: float) -> None:
    svg = ElementTree.fromstring(histogram(good, bad, held_out, at))
    assert len(svg.findall("line[@class='rug']")) == len(held_out)
    assert bool(heights(svg, "good")) == bool(good)
    assert bool(heights(svg, "bad")) == bool(bad)
    numbers = [float(v) for e in svg.iter() for k, v in e.attrib.items() if k in ("x", "y", "width", "height", "x1")]
    assert all(math.isfinite(number) and -1 <= number <= 721 for number in numbers)


def test_every_score_is_in_one_bar_and_none_is_half_rejected() -> None:
    rng = np.random.default_rng(0)
    good, bad = rng.normal(100, 10, 500), rng.normal(160, 30, 300)
    threshold = float(np.sort(good)[480])  # a score itself: it is not rejected
    svg = ElementTree.fromstring(histogram(good.tolist(), bad.tolist(), [100.0], threshold))
    line = float(svg.find("line[@class='threshold']").attrib["x1"])  # type: ignore[union-attr]
    bars = svg.findall("g[@class='good']/rect")
    assert len(bars) < BINS + 2
    tallest = max(heights(svg, "good"))
    largest = np.histogram(good, _edges_of(good, bad, threshold))[0].max()
    counts = [float(bar.attrib["height"]) / tallest * largest for bar in bars]
    right = sum(c for bar, c in zip(bars, counts, strict=True) if float(bar.attrib["x"]) > line)
    assert round(sum(counts)) == 500
    assert round(right) == int((good > threshold).sum()) == 19


def _edges_of(good: np.ndarray, bad: np.ndarray, threshold: float) -> np.ndarray:
    return _edges(_score_axis(np.array([*good, *bad, 100.0, threshold])), threshold)


@pytest.mark.parametrize(
    ("low", "high", "log", "ticks"),
    [
        (0, 10, False, [0, 2, 4, 6, 8, 10]),
        (-3.7, 3.7, False, [-2, 0, 2]),
        (94, 131, False, [100, 110, 120, 130]),
        (80, 6000, True, [100, 200, 500, 1000, 2000, 5000]),
        (1, 1e9, True, [10.0**k for k in range(10)]),
        (120, 190, True, [120, 140, 160, 180]),
    ],
)
def test_ticks_are_round(low: float, high: float, log: bool, ticks: list[float]) -> None:
    assert Axis(low, high, 0, 100, log).ticks(5) == pytest.approx(ticks)


@pytest.mark.parametrize(("value", "pixel"), [(1, 10), (10, 60), (100, 110)])
def test_logarithmic_axis(value: float, pixel: float) -> None:
    assert Axis(1, 100, 10, 110, log=True)(value) == pytest.approx(pixel)


def test_wide_positive_scores_get_a_logarithmic_axis() -> None:
    assert "logarithmic" in histogram([100.0], [4000.0], [100.0], 150.0)
    assert "logarithmic" not in histogram([100.0], [400.0], [100.0], 150.0)
    assert "logarithmic" not in histogram([-1.0], [4000.0], [0.5], 1.0)


def test_a_label_at_the_end_of_the_axis_is_not_cut_off() -> None:
    svg = histogram([0.0], [5000.0], [0.0], 2500.0)
    found = re.findall(r'y="306.0" text-anchor="(\w+)">(\d+)', svg)
    assert found[-1] == ("end", "5000")
    assert {anchor for anchor, _ in found[:-1]} == {"middle"}


def test_roc_runs_from_corner_to_corner() -> None:
    false, true = roc(np.array([False, True, False, True]), np.array([1.0, 2.0, 3.0, 4.0]))
    svg = roc_curve(false, true, (0.5, 1.0))
    points = re.search(r'points="([^"]+)"', svg)
    assert points is not None
    assert points[1].split()[0] == "48.0,282.0"
    assert points[1].split()[-1] == "312.0,18.0"
    assert 'cx="180.0" cy="18.0"' in svg
    ElementTree.fromstring(svg)
