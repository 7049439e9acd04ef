from __future__ import annotations

import numpy as np
import pytest

from edgeirf.calib.fitting.crossfit import cross_fit
from edgeirf.calib.fitting.gaussian import Gaussian, Moments, fit_gaussian
from edgeirf.settings import Preprocess, Scoring


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


def test_cross_fit_scores_are_those_of_unseen_parts() -> None:
    """With few parts and many channels a Gaussian fitted on the part itself flatters it; cross-fitting does not."""
    random = np.random.default_rng(2)
    mix = random.normal(size=(24, 24))

    def parts(count: int) -> list[np.ndarray]:
        raw = random.normal(size=(count, 1, 24, 4, 4))
        return list(np.einsum("oc,ntchw->ntohw", mix, raw).astype(np.float32))

    settings, scoring = Preprocess(size=(64, 64)), Scoring()
    calibration = parts(12)
    fair = cross_fit(calibration, "full", scoring, settings, invad=False)
    flattered = [fair.gaussian.whiten(field) for field in calibration]
    unseen = [fair.gaussian.whiten(field) for field in parts(100)]
    mean_energy = lambda fields: float(np.mean([np.square(f).sum(1).mean() for f in fields]))  # noqa: E731
    assert mean_energy(flattered) < 0.95 * mean_energy(unseen)
    from edgeirf.runtime.scoring import score_field

    unseen_scores = [score_field(f, scoring, settings.size, settings.tiles).score for f in unseen]
    own_scores = [score_field(f, scoring, settings.size, settings.tiles).score for f in flattered]
    assert np.mean(own_scores) < 0.95 * np.mean(unseen_scores)
    assert np.mean(fair.scores) == pytest.approx(np.mean(unseen_scores), rel=0.1)


def test_invad_statistics_are_those_of_the_parts() -> None:
    random = np.random.default_rng(3)
    fields = [random.normal(size=(1, 8, 4, 4)).astype(np.float32) for _ in range(30)]
    fitted = cross_fit(fields, "standard", Scoring(density="norm"), Preprocess(size=(64, 64)), invad=True)
    assert fitted.scoring.latent is not None
    assert fitted.scoring.latent[0] == pytest.approx(0.5, abs=0.05)
    assert np.mean(fitted.scores) == pytest.approx(0.0, abs=0.5)


def test_unwhitening_and_replacing_a_gaussian() -> None:
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(2, 5, 3, 4)).astype(np.float32)
    first, second = (Gaussian(rng.normal(size=5), np.eye(5) + 0.2 * rng.normal(size=(5, 5))) for _ in range(2))
    assert np.allclose(first.unwhiten(first.whiten(raw)), raw, atol=1e-5)
    assert np.allclose(second.after(first).whiten(first.whiten(raw)), second.whiten(raw), atol=1e-5)
    same = first.after(first)
    assert np.allclose(same.whitener, np.eye(5))
    assert np.allclose(same.mean, 0)
