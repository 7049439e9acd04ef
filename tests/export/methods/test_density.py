from __future__ import annotations

import numpy as np
import pytest
import torch

from edgeirf.calib.fitting.density import (
    TEXTURE,
    WHOLE,
    Scale,
    channels,
    distances,
    fit_scales,
    pooled_moments,
    to_nats,
)
from edgeirf.export.methods.density import Density
from edgeirf.export.methods.fit import density_field
from edgeirf.runtime.scoring import density as half_sum_of_squares
from edgeirf.settings import Scoring

GRID = (8, 10)


def field(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(1, 2, (count, 5, *GRID)).astype(np.float32)


@pytest.fixture(scope="module", params=[(), (2, 4)], ids=["shared", "places"])
def scales(request: pytest.FixtureRequest) -> tuple[Scale, ...]:
    moments = pooled_moments(field(100, 0), (1, 2, 4, WHOLE))
    fitted = fit_scales(moments, [field(40, 0), field(30, 5)], "full", placed=request.param)
    largest = [distances(field(30, 1), scale).reshape(30, -1).max(1) for scale in fitted]
    return to_nats(fitted, largest)


def neighbours(side: int, row: int, column: int, shape: tuple[int, int], reach: int) -> tuple[slice, slice]:
    return (
        slice(max(0, row - reach), min(shape[0], row + side)),
        slice(max(0, column - reach), min(shape[1], column + side)),
    )


def by_definition(raw: np.ndarray, scales: tuple[Scale, ...]) -> np.ndarray:
    """``(scales, h, w)``: what each scale adds, from the definition, position by position."""
    nats = [(s.gain * distances(raw, s) ** s.power)[0] for s in scales]
    local = nats[0]
    parts = [local] if scales[1].places is None else []
    for scale, own in zip(scales, nats, strict=True):
        if scale.window > 1:
            part = np.zeros(GRID)
            for row, column in np.ndindex(*GRID):
                side = scale.window
                covering = own[neighbours(1, row, column, own.shape, side - 1)].max()
                highest = local[neighbours(side, row, column, GRID, side - 1)].max()
                part[row, column] = covering * local[row, column] / highest
            parts.append(part)
    shape = sum(parts)
    share = (shape / shape.max()) ** 8
    parts += [own[0, 0] * share for scale, own in zip(scales, nats, strict=True) if scale.window <= 0]
    return np.stack(parts)


def test_the_graph_follows_the_definition(scales: tuple[Scale, ...]) -> None:
    raw = field(1, 2)
    found = density_field(Density(scales), scales, raw)
    expected = by_definition(raw, scales)
    assert np.allclose(0.5 * np.square(found[0]), expected, rtol=1e-3)
    assert half_sum_of_squares(found, Scoring())[0] == pytest.approx(expected.sum(0), rel=1e-3)


def test_the_score_is_the_sum_of_the_whole_scales_and_the_most_unusual_place(scales: tuple[Scale, ...]) -> None:
    raw = field(1, 3)
    parts = by_definition(raw, scales)
    whole = sum(float(s.gain * distances(raw, s)[0, 0, 0] ** s.power) for s in scales if s.window in (WHOLE, TEXTURE))
    total = half_sum_of_squares(density_field(Density(scales), scales, raw), Scoring())
    located = [part for part, scale in zip(parts, channels(scales), strict=True) if scale.window > 0]
    assert total.max() == pytest.approx(sum(located).max() + whole, rel=1e-3)


def test_each_scale_that_adds_has_its_channel(scales: tuple[Scale, ...]) -> None:
    windows = [scale.window for scale in channels(scales)]
    assert windows == ([1, 2, 4, WHOLE, TEXTURE] if scales[1].places is None else [2, 4, TEXTURE])
    assert density_field(Density(scales), scales, field(2, 3)).shape == (2, len(windows), *GRID)


def test_what_is_not_a_number_stays_so(scales: tuple[Scale, ...]) -> None:
    raw = torch.zeros(1, 5, *GRID)
    raw[0, 2, 3, 3] = torch.nan
    assert torch.isnan(Density(scales)(raw)).any()


def test_a_field_without_any_anomaly_has_a_map_of_zeros_there(scales: tuple[Scale, ...]) -> None:
    still = Density(scales)(torch.zeros(1, 5, *GRID))
    assert torch.isfinite(still).all()


def test_an_overflow_of_a_reduced_precision_is_a_large_score(scales: tuple[Scale, ...]) -> None:
    raw = torch.zeros(1, 5, *GRID)
    raw[0, 2, 3, 3] = torch.inf
    found = Density(scales)(raw)
    assert torch.isfinite(found).all()
    assert found.max() > 100 * Density(scales)(torch.zeros(1, 5, *GRID)).max()
