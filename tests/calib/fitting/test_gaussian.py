from __future__ import annotations

import numpy as np
import pytest

from edgeirf.calib.fitting.gaussian import Gaussian, Moments, fit_gaussian


@pytest.fixture
def field() -> np.ndarray:
    random = np.random.default_rng(0)
    mix = random.normal(size=(5, 5))
    return np.einsum("oc,nchw->nohw", mix, random.normal(size=(40, 5, 8, 8))).astype(np.float32) + 3.0


def test_moments_add_and_subtract(field: np.ndarray) -> None:
    whole, part = Moments.of(field), Moments.of(field[:7])
    rest = whole - part
    assert rest.count == Moments.of(field[7:]).count
    assert np.allclose(rest.outer, Moments.of(field[7:]).outer)
    assert np.allclose((part + rest).total, whole.total)


@pytest.mark.parametrize("fit", ["standard", "diagonal", "full"])
def test_whitened_field(field: np.ndarray, fit) -> None:
    white = fit_gaussian(Moments.of(field), fit).whiten(field)
    vectors = np.moveaxis(white, 1, -1).reshape(-1, 5)
    covariance = np.cov(vectors.T)
    if fit == "standard":
        assert np.array_equal(white, field)
        return
    assert np.allclose(vectors.mean(0), 0, atol=1e-3)
    # Shrinking towards the diagonal moves correlated variances a little off 1.
    assert np.allclose(np.diag(covariance), 1, atol=1e-3 if fit == "diagonal" else 0.1)
    off = np.abs(covariance - np.diag(np.diag(covariance))).max()
    assert off < 0.1 if fit == "full" else off > 0.3


def test_a_dead_channel_does_not_decide(field: np.ndarray) -> None:
    field[:, 2] = 1.0
    for fit in ("diagonal", "full"):
        white = fit_gaussian(Moments.of(field), fit).whiten(field)
        assert np.isfinite(white).all()
        assert np.abs(white[:, 2]).max() < 1.0


def test_few_samples_are_shrunk_more() -> None:
    random = np.random.default_rng(1)
    few = fit_gaussian(Moments.of(random.normal(size=(1, 30, 5, 5)).astype(np.float32)), "full")
    many = fit_gaussian(Moments.of(random.normal(size=(400, 30, 5, 5)).astype(np.float32)), "full")
    assert np.linalg.cond(few.whitener) < 3
    assert np.allclose(many.whitener, np.eye(30), atol=0.03)


def test_unwhitening_and_replacing_a_gaussian() -> None:
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(2, 5, 3, 4)).astype(np.float32)
    first, second = (Gaussian(rng.normal(size=5), np.eye(5) + 0.2 * rng.normal(size=(5, 5))) for _ in range(2))
    assert np.allclose(first.unwhiten(first.whiten(raw)), raw, atol=1e-5)
    assert np.allclose(second.after(first).whiten(first.whiten(raw)), second.whiten(raw), atol=1e-5)
    same = first.after(first)
    assert np.allclose(same.whitener, np.eye(5))
    assert np.allclose(same.mean, 0)
