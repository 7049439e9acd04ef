from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeirf.conformal import Limits, conformal_p_value
from edgeirf.export.standalone.nodes import Nodes
from edgeirf.export.standalone.scored import add_decision, add_score
from edgeirf.runtime.scoring import score_field
from edgeirf.settings import Preprocess, Scoring

Compute = Callable[..., NDArray[Any]]
TILED = Preprocess(size=(32, 64), tiles=(2, 3))
SCORINGS = [
    Scoring(),
    Scoring(density="norm", sigma=0.0, top_k=50),
    Scoring(sigma=2.0, top_k=1_000_000),
    Scoring(density="norm", latent=(0.4, 0.1, 3.0, 0.5)),
]


def scored(scoring: Scoring) -> Nodes:
    nodes = Nodes()
    add_score(nodes, "field", (6, 5, 4, 8), TILED, scoring, "fits")
    return nodes


def field(seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(6, 5, 4, 8)).astype(np.float32)


@pytest.mark.parametrize("scoring", SCORINGS, ids=["nll", "norm, top k", "all values", "latent"])
def test_score_peak_and_map_are_those_of_the_runtime(compute: Compute, scoring: Scoring) -> None:
    want = score_field(field(), scoring, TILED.size, TILED.tiles)
    inputs = {"field": field(), "fits": np.array(True)}
    assert np.allclose(compute(scored(scoring), "map", **inputs), want.map, rtol=1e-5)
    assert float(compute(scored(scoring), "peak", **inputs)) == pytest.approx(want.peak, rel=1e-6)
    assert float(compute(scored(scoring), "score", **inputs)) == pytest.approx(want.score, rel=1e-5)


@pytest.mark.parametrize("scoring", SCORINGS, ids=["nll", "norm, top k", "all values", "latent"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [(0, 0, 0, 0), (3, 2, 1, 5), (5, 4, 3, 7)])
def test_one_cell_that_is_no_number_leaves_no_score(
    compute: Compute, scoring: Scoring, value: float, place: tuple[int, ...]
) -> None:
    broken = field()
    broken[place] = value
    for name in ("score", "peak"):
        assert not np.isfinite(compute(scored(scoring), name, field=broken, fits=np.array(True)))


def test_a_frame_that_does_not_fit_has_no_score(compute: Compute) -> None:
    assert np.isnan(compute(scored(SCORINGS[0]), "score", field=field(), fits=np.array(False)))


LIMITS = (Limits(2.5, 3.5, (1.0, 2.0, 2.0, 2.5)), Limits(-1.0, 0.5, (-3.0, 0.0)))


@lru_cache
def decided(limits: tuple[Limits, ...] = LIMITS) -> Nodes:
    nodes = Nodes()
    add_decision(nodes, limits, "product")
    return nodes


@given(st.sampled_from([0, 1]), st.floats(-4, 4) | st.sampled_from([-3.0, -1.0, 0.0, 1.0, 2.0, 2.5]))
@settings(max_examples=30, deadline=None)
def test_decisions_and_p_values_are_those_of_the_runtime(compute: Compute, product: int, score: float) -> None:
    limits = LIMITS[product]
    inputs = {"score": np.array(score), "product": np.array(product)}
    assert bool(compute(decided(), "reject", **inputs)) == (score > limits.threshold)
    assert float(compute(decided(), "p_value", **inputs)) == conformal_p_value(limits.scores, score)
    assert float(compute(decided(), "threshold", **inputs)) == limits.threshold
    assert float(compute(decided(), "pixel_threshold", **inputs)) == limits.pixel_threshold


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_rejects(compute: Compute, score: float) -> None:
    open_ended = tuple(replace(one, threshold=np.inf) for one in LIMITS)
    inputs = {"score": np.array(score), "product": np.array(0)}
    assert bool(compute(decided(), "reject", **inputs))
    if score != np.inf:
        assert bool(compute(decided(open_ended), "reject", **inputs))


@pytest.mark.parametrize("product", [2, 99, -1, -2])
def test_a_product_out_of_range_is_an_error_that_says_so(compute: Compute, product: int) -> None:
    with pytest.raises(Exception, match="product_is_an_index_into_the_products"):
        compute(decided(), "reject", score=np.array(0.0), product=np.array(product))
