"""The banded smoothing matrices that the post-processing kernel reads."""

from __future__ import annotations

import numpy as np
import pytest

from edgeirf.runtime.kernels.tables import ROW_GROUP, column_band, panel_groups, row_band
from edgeirf.runtime.scoring import smoothing_matrix

SIZES = [
    (16, 256, 4.0),
    (1, 32, 4.0),
    (1, 1, 0.0),
    (7, 61, 2.0),
    (24, 24, 0.0),
    (64, 40, 1.0),
    (160, 640, 2.0),
    (8, 64, 40.0),
]


@pytest.mark.parametrize(("cells", "pixels", "sigma"), SIZES)
def test_the_bands_hold_the_whole_matrix(cells: int, pixels: int, sigma: float) -> None:
    matrix = smoothing_matrix(cells, pixels, sigma)
    first, weights = column_band(cells, pixels, sigma)
    rebuilt = np.zeros_like(matrix)
    for pixel, start in enumerate(first):
        rebuilt[pixel, start : start + len(weights)] = weights[:, pixel]
    np.testing.assert_array_equal(rebuilt, matrix)

    first, weights = row_band(cells, pixels, sigma)
    rebuilt = np.zeros((len(first) * ROW_GROUP, cells), np.float32)
    for group, start in enumerate(first):
        rebuilt[group * ROW_GROUP : (group + 1) * ROW_GROUP, start : start + weights.shape[1]] = weights[group].T
    np.testing.assert_array_equal(rebuilt[:pixels], matrix)
    assert not rebuilt[pixels:].any()


@pytest.mark.parametrize(("cells", "pixels", "sigma"), SIZES)
def test_bands_never_step_back_nor_leave_the_grid(cells: int, pixels: int, sigma: float) -> None:
    for first, taps in (
        (f, w.shape[axis])
        for (f, w), axis in ((row_band(cells, pixels, sigma), 1), (column_band(cells, pixels, sigma), 0))
    ):
        assert (np.diff(first) >= 0).all()
        assert first[0] >= 0
        assert first[-1] + taps <= cells


@pytest.mark.parametrize("limit", [4, 9, 40, 256])
@pytest.mark.parametrize(("cells", "pixels", "sigma"), SIZES)
def test_panels_fit(cells: int, pixels: int, sigma: float, limit: int) -> None:
    first, weights = row_band(cells, pixels, sigma)
    taps = weights.shape[1]
    groups = panel_groups(first, taps, limit)
    assert (groups == 0) == (taps > limit)
    for top in range(0, len(first), groups or len(first)):
        if groups:
            assert first[min(top + groups, len(first)) - 1] + taps - first[top] <= limit


def test_the_usual_map_needs_four_cells_a_row() -> None:
    assert row_band(16, 256, 4.0)[1].shape == (32, 4, 8)
    assert column_band(16, 256, 4.0)[1].shape == (4, 256)
