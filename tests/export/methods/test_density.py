from __future__ import annotations

import numpy as np
import pytest
import torch

from edgeirf.calib.fitting.density import WHOLE, Scale, distances, fit_scales, pooled_moments, to_nats, with_profiles
from edgeirf.export.methods.density import Density
from edgeirf.export.methods.fit import density_field
from edgeirf.runtime.scoring import density as half_sum_of_squares
from edgeirf.settings import Scoring

GRID = (8, 10)


def field(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(1, 2, (count, 5, *GRID)).astype(np.float32)


@pytest.fixture(scope="module")
def scales() -> tuple[Scale, ...]:
    fitted = fit_scales(pooled_moments(field(100, 0), (1, 2, 4, WHOLE)), "full")
    fitted = with_profiles(fitted, [field(40, 0), field(30, 5)])
    largest = [distances(field(30, 1), scale).reshape(30, -1).max(1) for scale in fitted]
    return to_nats(fitted, largest)


def covering(nats: np.ndarray, window: int, row: int, column: int) -> float:
    """Largest nats of the windows that cover a position, from the definition."""
    if window == WHOLE:
        return float(nats[0, 0])
    rows, columns = nats.shape
    return max(
        float(nats[i, j])
        for i in range(max(0, row - window + 1), min(rows, row + 1))
        for j in range(max(0, column - window + 1), min(columns, column + 1))
    )


def test_the_graph_follows_the_definition(scales: tuple[Scale, ...]) -> None:
    raw = field(1, 2)
    found = half_sum_of_squares(density_field(Density(scales, GRID), scales, raw), Scoring())[0]
    for row, column in ((0, 0), (3, 4), (7, 9), (0, 9)):
        expected = sum(covering((s.gain * distances(raw, s) ** s.power)[0], s.window, row, column) for s in scales)
        assert found[row, column] == pytest.approx(expected, rel=1e-4)


def test_each_scale_has_its_channel(scales: tuple[Scale, ...]) -> None:
    channels = density_field(Density(scales, GRID), scales, field(2, 3))
    assert channels.shape == (2, len(scales), *GRID)
    assert np.allclose(channels[:, -1], channels[:, -1, :1, :1])  # the whole grid has one value


def test_what_is_not_a_number_stays_so(scales: tuple[Scale, ...]) -> None:
    raw = torch.zeros(1, 5, *GRID)
    raw[0, 2, 3, 3] = torch.nan
    assert torch.isnan(Density(scales, GRID)(raw)).any()
