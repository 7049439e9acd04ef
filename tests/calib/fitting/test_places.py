from __future__ import annotations

import numpy as np
import pytest

from edgeirf.calib.fitting.density import distances, fit_scales, placed_for, pooled_moments
from edgeirf.calib.fitting.gaussian import Moments
from edgeirf.calib.fitting.places import DIRECTIONS, PlaceMoments, Places, few_enough

GRID = (3, 4)
CHANNELS = 8


def parts(count: int, seed: int = 0) -> np.ndarray:
    """``(count, 8, 3, 4)``: each place varies along a direction of its own, ten times as far as along the others."""
    rng = np.random.default_rng(seed)
    field = rng.normal(0, 0.3, (count, CHANNELS, *GRID))
    for place, (row, column) in enumerate(np.ndindex(*GRID)):
        field[:, place % CHANNELS, row, column] *= 10
    return field


def fitted(field: np.ndarray, noise: Moments | None = None) -> Places:
    moments = PlaceMoments(GRID, CHANNELS)
    moments.add(field[: len(field) // 2])
    moments.add(field[len(field) // 2 :])
    return moments.fit(noise)


def test_the_distance_is_that_of_the_covariance_with_its_small_eigenvalues_made_equal() -> None:
    field, fresh = parts(400), parts(5, seed=1)
    places = fitted(field)
    kept = places.directions.shape[1]
    assert kept == CHANNELS // 2
    found = places.distances(fresh)
    for row, column in np.ndindex(*GRID):
        read = field[:, :, row, column]
        covariance = np.cov(read.T, bias=True)
        unit = np.trace(covariance) * np.eye(CHANNELS) / CHANNELS
        covariance = (400 * covariance + CHANNELS * unit) / (400 + CHANNELS)
        values, vectors = np.linalg.eigh(covariance)
        values[:-kept] = np.exp(np.log(values[:-kept]).mean())
        centred = fresh[:, :, row, column] - read.mean(0)
        expected = 0.5 * np.square(centred @ vectors / np.sqrt(values)).sum(1)
        # 4 is usual. Directions are rounded to FP16, which shows where one varies a hundred times more than the others.
        assert found[:, row, column] == pytest.approx(expected, abs=0.1)


def test_a_place_knows_what_is_usual_there_and_nowhere_else() -> None:
    places = fitted(parts(400))
    odd = np.zeros((1, CHANNELS, *GRID))
    odd[0, 0, 0, 0] = 6  # the direction of the first place, at the first place
    odd[0, 0, 0, 1] = 6  # and at the second one, which never varies so
    found = places.distances(odd)
    assert found[0, 0, 1] > 10 * found[0, 0, 0]


def test_noise_of_a_precision_makes_every_place_wider() -> None:
    noise = Moments.of(np.random.default_rng(5).normal(0, 1, (50, CHANNELS, *GRID)))
    fresh = parts(5, seed=1)
    assert (fitted(parts(400), noise).distances(fresh) < fitted(parts(400)).distances(fresh)).all()


def test_few_samples_give_few_directions() -> None:
    assert fitted(parts(10)).directions.shape[1] == 2
    assert DIRECTIONS > CHANNELS // 2


def test_large_grids_and_simple_gaussians_share_one() -> None:
    assert placed_for((16, 16), "full") == (2, 4)
    assert placed_for((64, 16), "full") == (2, 4)
    assert not placed_for((16, 16), "diagonal")
    assert not placed_for((64, 64), "full")
    assert not few_enough((34, 34), 2)


def test_windows_that_share_a_gaussian_are_left_out_where_places_have_their_own() -> None:
    field = np.random.default_rng(0).normal(size=(60, 5, 12, 12)).astype(np.float32)
    scales = fit_scales(pooled_moments(field, (1, 2, 4, 8, 0)), [field], "full", placed=(2, 4))
    assert [scale.window for scale in scales] == [1, 2, 4, -1]
    assert [scale.places is not None for scale in scales] == [False, True, True, False]
    # Whitened values of C channels: half a square distance of C / 2 is usual.
    assert distances(field, scales[1]).mean() == pytest.approx(2.5, rel=0.3)
