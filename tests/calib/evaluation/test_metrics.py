from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from edgeirf.calib.evaluation.metrics import UNDEFINED, ranking, roc


@pytest.mark.parametrize(
    ("good", "bad", "auroc", "ap", "f1max"),
    [
        ([1, 2, 3], [4, 5], 1.0, 1.0, 1.0),
        ([4, 5], [1, 2, 3], 0.0, 0.4777777, 0.75),  # precisions 1/3, 2/4, 3/5 at recalls 1/3, 2/3, 1
        ([1, 3], [2, 4], 0.75, 0.8333333, 0.8),
        ([1, 1], [1, 1], 0.5, 0.5, 0.6666667),
        ([1, 2], [2, 3], 0.875, 0.8333333, 0.8),  # the tie counts half
    ],
)
def test_figures_by_hand(good: list[float], bad: list[float], auroc: float, ap: float, f1max: float) -> None:
    found = ranking(np.repeat([False, True], [len(good), len(bad)]), np.array([*good, *bad], float))
    assert (found.auroc, found.ap, found.f1max) == pytest.approx((auroc, ap, f1max), abs=1e-6)


@pytest.mark.parametrize("labels", [[False, False], [True, True], []])
def test_one_class_has_no_figures(labels: list[bool]) -> None:
    assert ranking(np.array(labels, bool), np.arange(len(labels), dtype=float)) is UNDEFINED


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 5), st.integers(1, 4)), min_size=1, max_size=30))
def test_a_weight_counts_like_repeated_samples(samples: list[tuple[bool, int, int]]) -> None:
    labels, scores, weights = (np.array(column) for column in zip(*samples, strict=True))
    weighted = ranking(labels, scores.astype(float), weights.astype(float))
    repeated = ranking(np.repeat(labels, weights), np.repeat(scores, weights).astype(float))
    assert (weighted.auroc, weighted.ap, weighted.f1max) == pytest.approx((repeated.auroc, repeated.ap, repeated.f1max))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=2, max_size=30))
def test_roc_is_that_of_scikit_learn(samples: list[tuple[bool, int]]) -> None:
    labels, scores = (np.array(column) for column in zip(*samples, strict=True))
    if labels.all() or not labels.any():
        return
    expected = metrics.roc_curve(labels, scores, drop_intermediate=False)
    for ours, theirs in zip(roc(labels, scores.astype(float)), expected, strict=False):
        np.testing.assert_allclose(ours, theirs)
