from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeirf.export.standalone.formats import PLAIN, plain_values, to_planes
from edgeirf.export.standalone.nodes import Nodes
from edgeirf.runtime.imaging import pixel_format as reference
from edgeirf.settings import PixelFormat

Compute = Callable[..., NDArray[Any]]
RAW = [name for name in reference.PIXEL_FORMATS if name not in PLAIN]


@lru_cache
def converter(pixel_format: PixelFormat) -> Nodes:
    nodes = Nodes()
    pixels = to_planes(nodes, "frame", pixel_format)
    every = [nodes("Range", nodes.whole(0), side, nodes.whole(1)) for side in pixels.sides]
    lines = nodes("Gather", pixels.name, pixels.row(every[0]), axis=2)  # (2, 3, H, W / 2)
    apart = nodes("Reshape", nodes("Transpose", lines, perm=[2, 3, 0, 1]), nodes.shape(*pixels.sides, 3))
    nodes("Gather", apart, pixels.column(every[1]), axis=1, out="bgr")
    return nodes


@given(st.sampled_from(RAW), st.integers(2, 14), st.integers(2, 14), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_colours_are_those_of_opencv(compute: Compute, name: PixelFormat, rows: int, columns: int, seed: int) -> None:
    shape = reference.frame_shape((2 * rows, 2 * columns), name)
    frame = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    frame[:2, :2] = (0, 255)
    got = compute(converter(name), "bgr", frame=frame[..., None])
    assert np.array_equal(got, reference.to_bgr(frame, name))


@pytest.mark.parametrize("name", ["nv12", "bayer_rggb8"])
@pytest.mark.parametrize("shape", [(6, 5, 1), (7, 6, 1), (6, 6, 3)])
def test_odd_sides_and_colour_are_an_error(compute: Compute, name: PixelFormat, shape: tuple[int, ...]) -> None:
    with pytest.raises(Exception, match=r"_has_|nv12|bayer"):
        compute(converter(name), "bgr", frame=np.zeros(shape, np.uint8))


def test_plain_formats_differ_in_bytes_a_pixel(compute: Compute) -> None:
    nodes = Nodes()
    values, width = plain_values(nodes, "frame")
    nodes("Concat", *(nodes.shape(side) for side in (values, width)), axis=0, out="kind")
    for count, kind in ((1, (1, 1)), (2, (1, 2)), (3, (3, 1)), (6, (3, 2))):
        assert tuple(compute(nodes, "kind", frame=np.zeros((2, 2, count), np.uint8))) == kind
    for count in (4, 5, 7):
        with pytest.raises(Exception, match="a_pixel_has_1_2_3_or_6_bytes"):
            compute(nodes, "kind", frame=np.zeros((2, 2, count), np.uint8))
