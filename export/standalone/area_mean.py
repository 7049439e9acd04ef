"""Area means in ONNX: exact, whatever the order in which a processor adds.

Overlaps of pixels and areas are whole numbers, divided by all that they have in common: one where an area is a whole
number of pixels. Rows are added in int32, bytes times bytes, without a copy of the frame in float; columns, of which
few values are left, in float64. The mean is rounded to the nearest number and to the even one half-way, as
:mod:`edgeirf.runtime.imaging.resize` rounds it, and up in the case of 2x2 pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from edgeirf.export.standalone.nodes import Nodes

MAX_SIDE = 65535
"""Pixels of a side up to which int32 holds the sums of rows."""


def _as_it_is(places: str) -> str:
    return places


@dataclass(frozen=True)
class Pixels:
    """A picture whose area is averaged.

    Attributes:
        name: of the tensor ``(split, groups, height, n)`` uint8. One split: n is pixels times bytes a pixel. Two: even
            and odd columns apart, one byte each.
        sides: names of the picture's height and width.
        start: row and column of the area's first pixel.
        groups: colours that lie apart.
        row, column: write nodes from places in the picture to places in the tensor.
    """

    name: str
    sides: tuple[str, str]
    start: tuple[int, int] = (0, 0)
    groups: int = 1
    row: Callable[[str], str] = _as_it_is
    column: Callable[[str], str] = _as_it_is


@dataclass(frozen=True)
class Axis:
    """One axis of the inspected area, cut into tiles of ``cells`` outputs each.

    Attributes:
        length: name of the scalar that holds the pixels of the area.
        tiles: number of tiles.
        cells: outputs of a tile.
    """

    length: str
    tiles: int
    cells: int

    @property
    def outputs(self) -> int:
        """Of all tiles."""
        return self.tiles * self.cells


@dataclass(frozen=True)
class _Overlaps:
    """Names, for each output: sources ``(n, K)``, how much of each it covers, the sum of that, pixels of its tile."""

    source: str
    share: str
    whole: str
    tile: str


def area_mean(nodes: Nodes, pixels: Pixels, down: Axis, across: Axis, value_bytes: tuple[str, str]) -> str:
    """Means as ``(values, rows, columns)`` float32 of whole numbers.

    Args:
        nodes: gets the nodes.
        pixels: of the picture.
        down, across: the axes.
        value_bytes: names of scalars: values a pixel that lie side by side, bytes a value (little-endian).
    """
    values, width = value_bytes
    vertical = _overlaps(nodes, down, pixels.sides[0], pixels.start[0])
    horizontal = _overlaps(nodes, across, pixels.sides[1], pixels.start[1])
    digits, count = _digits(nodes, vertical.share, down)
    lines = nodes("Gather", pixels.name, pixels.row(vertical.source), axis=2)  # (split, groups, rows, K, n)
    summed = nodes("MatMulInteger", digits, nodes("Unsqueeze", lines, nodes.whole([1])))
    flat = nodes("Reshape", summed, nodes.shape(-1, nodes.side(pixels.name, 3)))
    # (n, split * digits * groups * rows): one pixel after the other, whether its parts lie side by side or apart.
    turned = nodes("Reshape", nodes("Transpose", flat, perm=[1, 0]), nodes.shape(pixels.sides[1], -1))
    total = _columns(
        nodes, turned, (pixels.column(horizontal.source), horizontal.share), _few(nodes, vertical, horizontal)
    )
    total = nodes("Reshape", total, nodes.shape(across.outputs, values, -1, pixels.groups * down.outputs))
    worth = nodes(
        "Slice", nodes.double([[1.0, 256.0], [256.0, 65536.0]]), nodes.whole([0, 0]), nodes.shape(width, count)
    )
    total = nodes("MatMul", nodes("Reshape", worth, nodes.whole([1, -1])), total)
    total = nodes("Reshape", total, nodes.whole([across.outputs, -1, down.outputs]))
    means = _rounded(nodes, total, (vertical, down.cells), (horizontal, across.cells))
    return nodes("Transpose", nodes.cast(means, TensorProto.FLOAT), perm=[1, 2, 0])


def _few(nodes: Nodes, down: _Overlaps, across: _Overlaps) -> str:
    """Name of a bool: the sum over an area stays below 2^24, so that float32 holds it."""
    largest = [nodes("ReduceMax", one.whole, keepdims=0) for one in (down, across)]
    return nodes("LessOrEqual", nodes("Mul", *largest), nodes.whole(2**24 // 255))


def _columns(nodes: Nodes, lines: str, overlaps: tuple[str, str], few: str) -> str:
    """Weighted sums ``(columns, 1, M)`` of ``(W, M)``: in float32 where that is exact, else in float64.

    ONNX has no cheap choice between two ways: both are there, and one of them gets no columns.
    """
    count = nodes("Where", few, nodes.whole([2**31 - 1]), nodes.whole([0]))
    zero, sums = nodes.whole([0]), []
    for first, last, element in (
        (zero, count, TensorProto.FLOAT),
        (count, nodes.whole([2**31 - 1]), TensorProto.DOUBLE),
    ):
        source, share = (nodes("Slice", one, first, last, zero) for one in overlaps)
        parts = nodes.cast(nodes("Gather", lines, source, axis=0), element)
        weights = nodes("Unsqueeze", nodes.cast(share, element), nodes.whole([1]))
        sums.append(nodes.cast(nodes("MatMul", weights, parts), TensorProto.DOUBLE))
    return nodes("Concat", *sums, axis=0)


def _overlaps(nodes: Nodes, axis: Axis, there: str, first: int) -> _Overlaps:
    """Output j of a tile covers pixels from j * tile to (j + 1) * tile in units of 1 / cells.

    Sources are kept below ``there``, the pixels that there are: a frame that is too small is found elsewhere.
    """
    cells, one = nodes.whole(axis.cells), nodes.whole(1)
    bounds = nodes("Mul", nodes.whole(np.arange(axis.tiles + 1)), axis.length)
    bounds = nodes("Div", bounds, nodes.whole(axis.tiles))
    of = np.repeat(np.arange(axis.tiles), axis.cells)[:, None]
    start = nodes("Gather", bounds, nodes.whole(of))
    tile = nodes("Sub", nodes("Gather", bounds, nodes.whole(of + 1)), start)
    begin = nodes("Mul", nodes.whole(np.tile(np.arange(axis.cells), axis.tiles)[:, None]), tile)
    most = nodes("Add", nodes("Div", tile, cells), nodes("Mul", nodes.whole(2), _positive(nodes, tile, axis.cells)))
    count = nodes("ReduceMax", nodes("Reshape", most, nodes.whole([-1])), keepdims=0)
    source = nodes("Add", nodes("Div", begin, cells), nodes("Range", nodes.whole(0), count, one))
    end = nodes("Min", nodes("Add", begin, tile), nodes("Mul", nodes("Add", source, one), cells))
    share = nodes("Max", nodes("Sub", end, nodes("Max", begin, nodes("Mul", source, cells))), nodes.whole(0))
    common = _common(nodes, tile, axis.cells)
    place = nodes("Add", nodes("Add", start, source), nodes.whole(first))
    place = nodes("Min", place, nodes("Sub", there, one))
    flat = nodes.whole([-1])
    whole, tile = (nodes("Reshape", name, flat) for name in (nodes("Div", tile, common), tile))
    return _Overlaps(place, nodes("Div", share, common), whole, tile)


def _positive(nodes: Nodes, tile: str, cells: int) -> str:
    """1 where a tile's pixels are no whole multiple of its cells, else 0."""
    return nodes("Min", nodes("Mod", tile, nodes.whole(cells)), nodes.whole(1))


def _common(nodes: Nodes, tile: str, cells: int) -> str:
    """Largest common divisor of a tile's pixels ``(n, 1)`` and its cells; all shares are multiples of it."""
    divisors = nodes.whole([one for one in range(1, cells + 1) if cells % one == 0])
    fits = nodes("Equal", nodes("Mod", tile, divisors), nodes.whole(0))
    return nodes("ReduceMax", nodes("Where", fits, divisors, nodes.whole(1)), axes=[1], keepdims=1)


def _digits(nodes: Nodes, share: str, axis: Axis) -> tuple[str, str]:
    """Shares as bytes ``(digits, 1, rows, 1, K)``, the low ones first, and the name of how many digits there are."""
    count = nodes.whole(1)
    digits = nodes("Unsqueeze", share, nodes.whole([0]))
    if axis.cells > 255:  # a share is that large where areas and pixels have nothing in common
        largest = nodes("ReduceMax", nodes("Reshape", share, nodes.whole([-1])), keepdims=0)
        count = nodes("Add", count, nodes("Min", nodes("Div", largest, nodes.whole(256)), nodes.whole(1)))
        powers = nodes("Slice", nodes.whole([[[1]], [[256]]]), nodes.whole([0]), nodes.shape(count))
        digits = nodes("Mod", nodes("Div", digits, powers), nodes.whole(256))
    return nodes("Unsqueeze", nodes.cast(digits, TensorProto.UINT8), nodes.whole([1, 3])), count


def _rounded(nodes: Nodes, total: str, down: tuple[_Overlaps, int], across: tuple[_Overlaps, int]) -> str:
    """``(columns, values, rows)`` sums to means."""
    pixels, twice = [], []
    for (one, cells), shape in ((down, [1, 1, -1]), (across, [-1, 1, 1])):
        pixels.append(nodes.cast(nodes("Reshape", one.whole, nodes.whole(shape)), TensorProto.DOUBLE))
        double = nodes("Equal", nodes("Reshape", one.tile, nodes.whole(shape)), nodes.whole(2 * cells))
        twice.append(nodes.cast(double, TensorProto.DOUBLE))
    # Means of 2x2 pixels are quarters: an eighth more turns half-way into up and changes no other.
    up = nodes("Mul", nodes("Mul", twice[0], nodes.double(0.125)), twice[1])
    return nodes("Round", nodes("Add", nodes("Div", total, nodes("Mul", *pixels)), up))
