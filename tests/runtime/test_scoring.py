from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeirf.runtime.scoring import (
    _product,
    density,
    find_regions,
    latent_statistics,
    score_field,
    smooth_upsample,
    smoothing_matrix,
    stitch,
)
from edgeirf.settings import Scoring
from edgeirf.verdict import Region


def random_field(tiles: int, channels: int, h: int, w: int, scale: float = 1.0) -> NDArray[np.float32]:
    rng = np.random.default_rng(channels)
    return (rng.normal(size=(tiles, channels, h, w)) * scale).astype(np.float32)


def bilinear(values: NDArray[Any], pixels: int) -> NDArray[np.float64]:
    """Half-pixel centres, edges repeated, one value at a time."""
    cells, out = len(values), []
    for p in range(pixels):
        at = (p + 0.5) * cells / pixels - 0.5
        left = int(np.floor(at))
        low, high = values[min(max(left, 0), cells - 1)], values[min(max(left + 1, 0), cells - 1)]
        out.append(low + (at - left) * (float(high) - float(low)))
    return np.array(out)


def gaussian(values: NDArray[Any], sigma: float) -> NDArray[np.float64]:
    """Cut at 4 sigma, edges repeated, one value at a time."""
    radius = int(np.ceil(4 * sigma))
    taps = np.array([np.exp(-0.5 * (k / sigma) ** 2) if sigma else 1.0 for k in range(-radius, radius + 1)])
    padded = np.pad(np.asarray(values, np.float64), radius, mode="edge")
    return np.array([padded[p : p + len(taps)] @ taps / taps.sum() for p in range(len(values))])


@given(st.integers(1, 40), st.integers(1, 200), st.sampled_from([0.0, 0.3, 1.0, 4.0, 10.0]))
@settings(max_examples=60, deadline=None)
def test_smoothing_matrix_is_bilinear_then_gaussian(cells: int, pixels: int, sigma: float) -> None:
    matrix = smoothing_matrix(cells, pixels, sigma)
    assert matrix.shape == (pixels, cells)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix.sum(axis=1, dtype=np.float64), 1.0, rtol=0, atol=1e-6)
    assert (matrix >= 0).all()
    values = np.random.default_rng(cells * pixels).uniform(0, 100, cells)
    naive = gaussian(bilinear(values, pixels), sigma)
    np.testing.assert_allclose(matrix @ values, naive, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("shape", "size"), [((16, 16), (256, 256)), ((8, 12), (64, 96)), ((5, 7), (33, 50))])
def test_smooth_upsample_is_the_same_along_both_sides(shape: tuple[int, int], size: tuple[int, int]) -> None:
    grid = np.random.default_rng(0).uniform(0, 200, shape).astype(np.float32)
    naive = np.array([gaussian(bilinear(row, size[1]), 2.0) for row in grid])
    naive = np.array([gaussian(bilinear(column, size[0]), 2.0) for column in naive.T]).T
    smooth = smooth_upsample(grid, size, 2.0)
    assert smooth.dtype == np.float32
    np.testing.assert_allclose(smooth, naive, rtol=0, atol=2e-3)


@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 1, 1), (255, 16, 257), (512, 33, 511), (96, 64, 9000)])
def test_a_product_in_blocks_is_the_product(rows: int, inner: int, columns: int) -> None:
    rng = np.random.default_rng(rows)
    left, right = (rng.random(shape, dtype=np.float32) for shape in ((rows, inner), (columns, inner)))
    expected = left.astype(np.float64) @ right.T.astype(np.float64)
    np.testing.assert_allclose(_product(left, right.T), expected, rtol=1e-6)


def test_a_constant_map_stays_constant_to_the_edge() -> None:
    np.testing.assert_allclose(smooth_upsample(np.full((4, 4), 96.0, np.float32), (64, 64), 4.0), 96.0, rtol=1e-6)


def test_the_cached_matrix_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        smoothing_matrix(4, 32, 1.0)[0, 0] = 7


@pytest.mark.parametrize("name", ["nll", "norm"])
@pytest.mark.parametrize("scale", [1.0, 18.5, 1e4])
def test_density_against_float64(name: Any, scale: float) -> None:
    """18.5 over 192 channels is where a sum in half precision overflows."""
    field = random_field(2, 192, 3, 5, scale)
    squares = np.square(field.astype(np.float64)).sum(axis=1)
    exact = squares / 2 if name == "nll" else np.sqrt(squares)
    np.testing.assert_allclose(density(field, Scoring(name)), exact, rtol=2e-6)


def test_stitch_puts_tiles_row_by_row() -> None:
    tiled = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((6, 2, 2), np.float32)
    expected = np.repeat(np.repeat([[0.0, 1, 2], [3, 4, 5]], 2, axis=0), 2, axis=1)
    np.testing.assert_array_equal(stitch(tiled, (2, 3)), expected)


def test_one_hot_position_peaks_where_it_is() -> None:
    field = np.zeros((6, 8, 4, 4), np.float32)
    field[4, :, 1, 2] = 3.0  # tile row 1, column 1: grid position (5, 6) of (8, 12)
    scored = score_field(field, Scoring(sigma=1.0), (32, 32), (2, 3))
    assert scored.map.shape == (64, 96)
    y, x = np.unravel_index(scored.map.argmax(), scored.map.shape)
    assert (y // 8, x // 8) == (5, 6)
    assert scored.peak == scored.map.max() == scored.score
    assert 0 < scored.score < 0.5 * 8 * 3.0**2


@pytest.mark.parametrize("top_k", [1, 2, 100, 1024, 5000])
def test_image_score_is_the_mean_of_the_largest(top_k: int) -> None:
    field = random_field(1, 4, 4, 4)
    scored = score_field(field, Scoring(sigma=1.0, top_k=top_k), (32, 32), (1, 1))
    exact = np.sort(scored.map.ravel().astype(np.float64))[::-1][:top_k].mean()
    assert scored.score == pytest.approx(exact, rel=1e-6)


def test_invad_score_is_two_standardised_terms() -> None:
    field = random_field(1, 16, 4, 4)
    rules = Scoring("norm", sigma=1.0, latent=(0.4, 0.1, 2.0, 0.5))
    scored = score_field(field, rules, (32, 32), (1, 1))
    nll = 0.5 * np.mean(np.square(field.astype(np.float64)))
    spread = float(scored.map.max() - scored.map.min())
    assert latent_statistics(field, scored.map) == (pytest.approx(nll, rel=1e-6), pytest.approx(spread))
    assert scored.score == pytest.approx((nll - 0.4) / 0.1 + (spread - 2.0) / 0.5, rel=1e-5)
    assert scored.peak == scored.map.max()


def blobs(*boxes: tuple[int, int, int, int, float]) -> NDArray[np.float32]:
    """A 64x64 map with constant boxes ``(x, y, width, height, value)``."""
    result = np.zeros((64, 64), np.float32)
    for x, y, width, height, value in boxes:
        result[y : y + height, x : x + width] = value
    return result


WHOLE = (0, 0, 64, 64)


@pytest.mark.parametrize(
    ("scored_map", "area", "regions"),
    [
        pytest.param(blobs(), WHOLE, [], id="clean"),
        pytest.param(blobs((3, 5, 10, 20, 1.0)), WHOLE, [], id="the threshold itself is good"),
        pytest.param(blobs((3, 5, 10, 20, 2.0)), WHOLE, [Region(3, 5, 10, 20, 200, 2.0)], id="one"),
        pytest.param(
            blobs((0, 0, 4, 4, 2.0), (4, 4, 4, 4, 3.0)), WHOLE, [Region(0, 0, 8, 8, 32, 3.0)], id="touch at a corner"
        ),
        pytest.param(
            blobs((0, 0, 4, 4, 2.0), (10, 0, 2, 2, 5.0)),
            WHOLE,
            [Region(10, 0, 2, 2, 4, 5.0), Region(0, 0, 4, 4, 16, 2.0)],
            id="largest peak first",
        ),
        pytest.param(blobs((60, 60, 4, 4, 2.0)), WHOLE, [Region(60, 60, 4, 4, 16, 2.0)], id="corner"),
        pytest.param(
            blobs((3, 5, 10, 20, 2.0)), (100, 50, 640, 128), [Region(130, 60, 100, 40, 4000, 2.0)], id="in the frame"
        ),
        pytest.param(blobs((3, 5, 1, 1, 2.0)), (0, 0, 8, 8), [Region(0, 0, 1, 1, 1, 2.0)], id="never empty"),
    ],
)
def test_regions(scored_map: Any, area: Any, regions: list[Region]) -> None:
    assert list(find_regions(scored_map, 1.0, area)) == regions


@given(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 300), st.integers(1, 300)),
    st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_regions_lie_in_the_area(area: tuple[int, int, int, int], seed: int) -> None:
    scored_map = np.random.default_rng(seed).uniform(0, 1, (32, 32)).astype(np.float32)
    x, y, width, height = area
    for region in find_regions(scored_map, 0.9, area):
        assert x <= region.x
        assert y <= region.y
        assert region.x + region.width <= x + width
        assert region.y + region.height <= y + height
        assert region.width >= 1
        assert region.height >= 1
        assert region.area >= 1
        assert 0.9 < region.peak <= 1


def test_equal_peaks_come_in_the_order_of_their_first_pixel() -> None:
    """OpenCV numbers areas by blocks of two rows: the area at 4,0 would come after that at 0,1."""
    scored_map = np.zeros((6, 6), np.float32)
    scored_map[1, 0] = scored_map[0, 4] = scored_map[4, 2] = 2
    assert [(region.x, region.y) for region in find_regions(scored_map, 1.0, (0, 0, 6, 6))] == [(4, 0), (0, 1), (2, 4)]


SCALES = ("position", "2x2", "whole")


@pytest.mark.parametrize("loudest", range(3))
def test_the_loudest_channel_at_the_most_unusual_position_names_the_scale(loudest: int) -> None:
    field = np.full((2, 3, 4, 4), 0.1, np.float32)
    field[0, :, 1, 1] = (3.0, 3.0, 3.0)  # much at one place, but less than the place below in all
    field[1, :, 2, 3] = 3.5
    field[1, loudest, 2, 3] = 4.0
    scored = score_field(field, Scoring(scales=SCALES), (32, 32), (1, 2))
    assert scored.scale == SCALES[loudest]


def test_channels_without_names_name_no_scale() -> None:
    field = np.ones((1, 4, 4, 4), np.float32)
    assert score_field(field, Scoring(scales=SCALES), (32, 32), (1, 1)).scale is None
    assert score_field(field, Scoring(), (32, 32), (1, 1)).scale is None
