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
    rows, columns = (nodes("Range", nodes.whole(0), side, nodes.whole(1)) for side in pixels.sides)
    assert pixels.row is not None
    lines = nodes("Gather", pixels.name, pixels.row(nodes("Unsqueeze", rows, nodes.whole([1]))), axis=0)
    lines = nodes("Reshape", lines, nodes.shape(pixels.sides[0], -1))
    values = nodes("Mul", nodes.whole([0, 1, 2]), pixels.step)
    places = nodes("Add", nodes("Unsqueeze", pixels.column(columns), nodes.whole([1])), values)
    nodes("Gather", lines, places, axis=1, out="bgr")
    return nodes


@given(st.sampled_from(RAW), st.integers(2, 14), st.integers(2, 14), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_colours_are_those_of_opencv(compute: Compute, name: PixelFormat, rows: int, columns: int, seed: int) -> None:
    shape = reference.frame_shape((2 * rows, 2 * columns), name)
    frame = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    frame[:2, :2] = (0, 255)
    got = compute(converter(name), "bgr", frame=frame[..., None])
    assert np.array_equal(got, reference.to_bgr(frame, name))


def test_every_half_way_colour_of_nv12_rounds_as_in_opencv(compute: Compute) -> None:
    """Of all chroma values, the luma of which blue, green or red is half-way in thousandths, and one beside it."""
    u, v = (side.astype(np.int64) for side in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    # 1164 Y + shift is 500 modulo 1000: 61 is the inverse of 291 modulo 250.
    shifts = (2018 * u, -391 * u - 813 * v, 1596 * v)
    found = [np.minimum(61 * ((500 - shift) // 4) % 250, 238) for shift in shifts]
    frame = np.empty((3 * 256, 512), np.uint8)
    for index, own in enumerate([*found, found[1] + 1]):
        frame[index // 2 : 512 : 2, index % 2 :: 2] = 16 + own
    frame[512:, 0::2], frame[512:, 1::2] = u + 128, v + 128
    assert np.array_equal(compute(converter("nv12"), "bgr", frame=frame[..., None]), reference.to_bgr(frame, "nv12"))


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
