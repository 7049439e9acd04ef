"""A camera's bytes to pixels in ONNX, as OpenCV's ``cvtColor`` has them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto

from edgeirf.export.standalone.area_mean import Pixels
from edgeirf.export.standalone.nodes import Nodes
from edgeirf.settings import PixelFormat

PLAIN: tuple[PixelFormat, ...] = ("bgr8", "rgb8", "gray8", "bgr16", "rgb16", "gray16")
"""Formats that one graph takes all: they differ in bytes a pixel, and in the places of red and blue."""

_NONE = 9


def plain_values(nodes: Nodes, frame: str) -> tuple[str, str]:
    """Names of two scalars: values a pixel, bytes a value. The run fails for another number of bytes a pixel."""
    kinds = nodes.whole([_NONE, 0, 1, 2, _NONE, _NONE, 3])
    failure = "a_pixel_has_1_2_3_or_6_bytes"
    kind = nodes("Gather", kinds, nodes.side(frame, 2), name=f"{failure}_not_more")
    values = nodes("Gather", nodes.whole([1, 1, 3, 3]), kind, name=failure)
    return values, nodes("Gather", nodes.whole([1, 2, 1, 2]), kind, name=f"{failure}_each")


def to_planes(nodes: Nodes, frame: str, pixel_format: PixelFormat, start: tuple[int, int] = (0, 0)) -> Pixels:
    """Bayer or NV12 to blue, green and red; even and odd columns apart, which spares the pixels a second sorting.

    Args:
        nodes: gets the nodes.
        frame: name of the camera's bytes ``(rows, width, 1)``.
        pixel_format: of the frame.
        start: row and column of the first pixel that is inspected.
    """
    return _nv12(nodes, frame, start) if pixel_format == "nv12" else _bayer(nodes, frame, pixel_format, start)


def _apart(nodes: Nodes, width: str) -> Callable[[str], str]:
    """Column to place in a row of blue, green, red of even columns, then of odd ones: ``step`` is half a width."""
    two, half = nodes.whole(2), nodes("Div", width, nodes.whole(2))

    def column(places: str) -> str:
        odd = nodes("Mul", nodes("Mod", places, two), nodes("Mul", nodes.whole(3), half))
        return nodes("Add", odd, nodes("Div", places, two))

    return column


def _nv12(nodes: Nodes, frame: str, start: tuple[int, int]) -> Pixels:
    """BT.601 as OpenCV computes it, in whole numbers of 2^-20, but in float32.

    OpenCV's factors are those of the standard, to 2^-20. Those of the standard have three digits behind the point, so
    sums with them are thousandths, and round alike unless they are half-way. There OpenCV rounds down, as its factors
    are a little smaller, and a few dark greens up. Half a thousandth less, or more, does the same here: float32 loses
    far less.
    """

    def number(value: ArrayLike) -> str:
        return nodes.constant(value, np.float32)

    lines, width = nodes.side(frame, 0), nodes.side(frame, 1)
    half, pairs = nodes("Div", lines, nodes.whole(3)), nodes("Div", width, nodes.whole(2))
    height = nodes("Mul", half, nodes.whole(2))
    flat = nodes("Reshape", frame, nodes.shape(lines, width), name="nv12_has_one_byte_a_pixel")
    luma = nodes("Slice", flat, nodes.whole([0]), nodes.shape(height), nodes.whole([0]))
    chroma = nodes("Slice", flat, nodes.shape(height), nodes.shape(lines), nodes.whole([0]))
    # A copy in the shape that even sides have: with others the run fails here.
    luma = nodes("Reshape", luma, nodes.shape(height, pairs, 2), name="nv12_has_even_sides")
    chroma = nodes("Reshape", chroma, nodes.shape(half, pairs, 2), name="nv12_has_three_halves_of_a_height")
    luma = nodes("Clip", nodes("Transpose", luma, perm=[0, 2, 1]), nodes.constant(16, np.uint8))
    luma = nodes("Reshape", luma, nodes.shape(half, 2, 2, pairs))  # even and odd rows, even and odd columns
    chroma = nodes("Transpose", nodes("Reshape", chroma, nodes.whole([-1, 2])), perm=[1, 0])
    chroma = nodes.cast(chroma, TensorProto.FLOAT)  # (2, n): u, v, each 128 too large
    weights = np.array([[2.018, 0, 0], [-0.391, -0.813, 0.001], [0, 1.596, 0]])
    less = -128 * weights[:, :2].sum(1, keepdims=True) - 0.0005
    parts = nodes("Concat", chroma, _green_is_up(nodes, chroma), axis=0)
    shift = nodes("Gemm", number(weights), parts, number(less))
    light = nodes("DequantizeLinear", luma, number(1.164), nodes.constant(16, np.uint8))
    value = nodes("Add", light, nodes("Reshape", shift, nodes.shape(3, half, 1, 1, pairs)))
    colours = nodes("QuantizeLinear", value, number(1), nodes.constant(0, np.uint8))
    colours = nodes("Reshape", colours, nodes.shape(-1, pairs))

    def row(places: str) -> str:
        """Lines of even columns, then of odd ones; of blue, green, red."""
        place = nodes("Unsqueeze", nodes("Mul", places, nodes.whole(2)), nodes.whole([2]))
        colour = nodes("Mul", nodes.whole([0, 1, 2] * 2), nodes("Mul", height, nodes.whole(2)))
        return nodes("Add", place, nodes("Add", colour, nodes.whole([0, 0, 0, 1, 1, 1])))

    one, three = nodes.whole(1), nodes.whole(3)
    return Pixels(colours, (height, width), three, one, pairs, _apart(nodes, width), row, start)


def _green_is_up(nodes: Nodes, chroma: str) -> str:
    """1 where OpenCV rounds a green that is half-way up, else 0; anything between where none is half-way.

    With u and v about zero there is one luma Y at most (above 16, below 250) of which green is half-way:
    ``1164 Y = 391 u + 813 v - 500`` modulo 1000. So ``Y = 61 / 4 (391 u + 813 v - 500)`` modulo 250, which is ``Z =
    -37.25 u - 101.75 v - 125`` modulo 250. OpenCV's factors times 2^20 are ``-0.464 Y + 0.216 u + 0.288 v`` above the
    exact ones: up is ``27 u + 36 v >= 58 Y``. All numbers here are exact in float32.
    """

    def number(value: ArrayLike) -> str:
        return nodes.constant(value, np.float32)

    z, drift = np.array([-37.25, -101.75]), np.array([27.0, 36.0])
    weights = np.array([z / 250, drift - 58 * z])
    plus = np.array([[-0.5 + 0.002], [58 * 125 + 1]]) - 128 * weights.sum(1, keepdims=True)
    both = nodes("Gemm", number(weights), chroma, number(plus))
    times, above = (nodes("Slice", both, *map(nodes.whole, ([i], [i + 1], [0]))) for i in (0, 1))
    above = nodes("Add", above, nodes("Mul", nodes("Floor", times), number(58 * 250)))
    return nodes("Clip", above, number(0), number(1))


def _bayer(nodes: Nodes, frame: str, pixel_format: PixelFormat, start: tuple[int, int]) -> Pixels:
    """Bilinear: means of the two or four nearest pixels of a colour; the rim repeats the pixels next to it.

    All in bytes: a quantised product has the means of four rows by four columns, and rounds them half-way up.
    """
    height, width = nodes.side(frame, 0), nodes.side(frame, 1)
    one, two, zero = nodes.whole(1), nodes.whole(2), nodes.whole(0)
    halves = [nodes("Div", side, two) for side in (height, width)]
    cells = nodes("Reshape", frame, nodes.shape(halves[0], 2, halves[1], 2), name="bayer_has_even_sides")
    cells = nodes("Reshape", cells, nodes.shape(height, halves[1], 2))
    # (height, width): of each row the even columns, then the odd ones.
    apart = nodes("Reshape", nodes("Transpose", cells, perm=[0, 2, 1]), nodes.shape(height, width))
    # Columns 2j-1, 2j, 2j+1, 2j+2, one line each. At the rim a line begins with the end of another: nobody reads it.
    ends = ((nodes("Sub", halves[1], one), nodes("Sub", width, one)), (one, nodes("Add", halves[1], one)))
    left, right = (nodes("Slice", apart, *map(nodes.shape, pair), nodes.whole([1])) for pair in ends)
    columns = nodes("Concat", left, apart, right, axis=1)
    cells = nodes("Reshape", apart, nodes.shape(-1, 4, halves[1]))
    unit, none = nodes.constant(1, np.float32), nodes.constant(0, np.uint8)
    # A fourth, and a bit more: then half-way is up.
    fourth = nodes.constant(0.25 * (1 + 2**-14), np.float32)
    weights, order = _bayer_weights(pixel_format[6:10])
    rows = nodes("Unsqueeze", nodes("Mul", nodes("Range", zero, halves[0], one), two), nodes.whole([1]))
    rows = nodes("Add", rows, nodes.whole([-1, 0, 1, 2]))
    rows = nodes("Min", nodes("Max", rows, zero), nodes("Sub", height, one))
    near = nodes("Reshape", nodes("Gather", columns, rows, axis=0), nodes.shape(-1, 16, halves[1]))
    means = nodes("QLinearMatMul", nodes.constant(weights, np.uint8), fourth, none, near, unit, none, unit, none)
    # Of each two rows eight lines of means, then the four lines that the camera gave.
    colours = nodes("Reshape", nodes("Concat", means, cells, axis=1), nodes.shape(-1, halves[1]))

    def inside(places: str, side: str) -> str:
        return nodes("Min", nodes("Max", places, one), nodes("Sub", side, two))

    def row(places: str) -> str:
        places = inside(places, height)
        lines = nodes("Gather", nodes.whole(order), nodes("Mod", places, two), axis=0)
        first = nodes("Mul", nodes("Div", places, two), nodes.whole(12))
        return nodes("Add", nodes("Unsqueeze", first, nodes.whole([2])), lines)

    column = _apart(nodes, width)
    return Pixels(
        colours, (height, width), nodes.whole(3), one, halves[1], lambda x: column(inside(x, width)), row, start
    )


def _bayer_weights(colours: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Fourths of the pixels around ``(8, 16)`` for each mean, and which line has what.

    The lines ``(2, 6)`` are, for even and odd rows, even and odd columns of blue, green, red: the means, then the
    four pixels of the filter.
    """
    weights: list[NDArray[np.int64]] = []
    lines = np.empty((2, 2, 3), np.int64)
    near = {"side": [(0, -1), (0, 1)], "up": [(-1, 0), (1, 0)]}
    near["cross"], near["corners"] = near["side"] + near["up"], [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    for y, x, (index, colour) in product((0, 1), (0, 1), enumerate("bgr")):

        def at(dy: int, dx: int, y: int = y, x: int = x) -> str:
            return colours[(y + dy) % 2 * 2 + (x + dx) % 2]

        if at(0, 0) == colour:
            lines[y, x, index] = 8 + 2 * y + x
            continue
        if colour == "g":
            places = near["cross"]
        elif at(0, 1) == colour:
            places = near["side"]
        else:
            places = near["up"] if at(1, 0) == colour else near["corners"]
        lines[y, x, index] = len(weights)
        around = np.zeros((4, 4), np.int64)
        for dy, dx in places:
            around[y + 1 + dy, x + 1 + dx] = 4 // len(places)
        weights.append(around.reshape(16))
    return np.array(weights), lines.reshape(2, 6)
