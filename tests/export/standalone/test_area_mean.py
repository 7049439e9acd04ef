from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeirf.export.standalone import area_mean as module
from edgeirf.export.standalone.area_mean import MAX_SIDE, WORTH_STRIPS, Axis, Pixels, area_mean
from edgeirf.export.standalone.nodes import Nodes

Compute = Callable[..., NDArray[Any]]
GRIDS = [(1, 8, 1, 12), (2, 4, 3, 8), (1, 1, 1, 1)]
"""Tiles and cells down, tiles and cells across."""


@lru_cache
def means(grid: tuple[int, int, int, int], values: int, width: int, strips_from: int = WORTH_STRIPS) -> Nodes:
    nodes = Nodes()
    down = Axis(nodes.side("area", 0), *grid[:2])
    across = Axis(nodes.side("area", 1), *grid[2:])
    lines = nodes("Reshape", "area", nodes.shape(nodes.side("area", 0), -1))
    sides, count, bytes_ = (nodes.side("area", 0), nodes.side("area", 1)), nodes.whole(values), nodes.whole(width)
    pixel = nodes.whole(values * width)
    pixels = Pixels(lines, sides, count, bytes_, bytes_, lambda places: nodes("Mul", places, pixel))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WORTH_STRIPS", strips_from)
        nodes("Identity", area_mean(nodes, pixels, down, across), out="mean")
    return nodes


def exact(tile: NDArray[Any], rows: int, columns: int) -> NDArray[np.int64]:
    """Means of one tile in whole numbers: every pixel repeated, then added up in blocks."""
    height, width = tile.shape[:2]
    wide = tile.astype(np.int64).repeat(rows, 0).repeat(columns, 1)
    total = wide.reshape(rows, height, columns, width, -1).sum((1, 3))
    count = height * width
    whole, rest = np.divmod(total, count)
    half_way_up = whole % 2 == 1 if (height, width) != (2 * rows, 2 * columns) else np.True_
    return whole + ((2 * rest > count) | ((2 * rest == count) & half_way_up))


def tiled(picture: NDArray[Any], grid: tuple[int, int, int, int]) -> NDArray[np.int64]:
    """Means of all tiles, put together: ``(values, rows, columns)``."""
    (down, rows, across, columns), (height, width) = grid, picture.shape[:2]
    lines = [
        np.concatenate(
            [
                exact(
                    picture[
                        i * height // down : (i + 1) * height // down, j * width // across : (j + 1) * width // across
                    ],
                    rows,
                    columns,
                )
                for j in range(across)
            ],
            axis=1,
        )
        for i in range(down)
    ]
    return np.concatenate(lines).transpose(2, 0, 1)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_means_are_exact_whatever_the_size(compute: Compute, data: st.DataObject) -> None:
    grid = data.draw(st.sampled_from(GRIDS))
    values, width = data.draw(st.sampled_from([(1, 1), (3, 1), (1, 2), (3, 2)]))
    height, across = (data.draw(st.integers(grid[i] * grid[i + 1], 60)) for i in (0, 2))
    largest = data.draw(st.sampled_from([1, 3, 256**width - 1]))  # few levels: many means are half-way
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    picture = random.integers(0, largest + 1, (height, across, values)).astype(np.uint8 if width == 1 else np.uint16)
    nodes = means(grid, values, width, data.draw(st.sampled_from([1, WORTH_STRIPS])))
    got = compute(nodes, "mean", area=picture.view(np.uint8).reshape(height, across, -1))
    assert np.array_equal(got, tiled(picture, grid))


@pytest.mark.parametrize("shape", [(16, 24), (8, 12), (24, 36), (16, 36), (12, 18)])
def test_whole_and_half_ratios_round_as_the_runtime(compute: Compute, shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 4, (*shape, 3)).astype(np.uint8)
    got = compute(means(GRIDS[0], 3, 1), "mean", area=picture)
    assert np.array_equal(got, tiled(picture, GRIDS[0]))


@pytest.mark.parametrize("height", [256, 257, 300, 509, 512, 777])
def test_more_than_255_areas_in_a_column_are_exact(compute: Compute, height: int) -> None:
    """A share is up to 256 where pixels and areas have nothing in common: more than a byte."""
    picture = np.random.default_rng(0).integers(0, 256, (height, 5, 3), dtype=np.uint8)
    grid = (1, 256, 1, 2)
    assert np.array_equal(compute(means(grid, 3, 1), "mean", area=picture), tiled(picture, grid))


@pytest.mark.parametrize("turned", [False, True])
def test_the_longest_side_is_added_without_loss(compute: Compute, turned: bool) -> None:
    """White of 16 bits but for one pixel of each mean: sums that float32 could not hold if they were any longer."""
    grid = (1, 1, 1, 2) if turned else (1, 2, 1, 1)
    picture = np.full((MAX_SIDE, 3, 1), 65535, np.uint16)
    picture[7], picture[40000] = 0, 65530
    picture = np.ascontiguousarray(picture.swapaxes(0, 1)) if turned else picture
    got = compute(means(grid, 1, 2), "mean", area=picture.view(np.uint8))
    assert np.array_equal(got, tiled(picture, grid))
