"""Area means in ONNX: exact, whatever the order in which a processor adds.

Overlaps of pixels and areas are whole numbers, divided by all that they have in common: one where an area is a whole
number of pixels. Rows are added in int32, bytes times bytes, without a copy of the frame in float; columns, of which
few values are left, in float32 where that is exact, else in float64. The mean is rounded to the nearest number and to
the even one half-way, as :mod:`edgeirf.runtime.imaging.resize` rounds it, and up in the case of 2x2 pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from edgeirf.export.standalone.nodes import Nodes

MAX_SIDE = 65535
"""Pixels of a side up to which int32 holds the sums of rows."""
STRIPS = 4
"""Parts of the picture, one after the other: less memory, of which more stays in the processor's cache."""
WORTH_STRIPS = 128
"""Rows of the output from which on: smaller networks fit the cache, and each part is nodes in the file."""
END = 2**31 - 1
"""Behind the last element."""


@dataclass(frozen=True)
class Pixels:
    """A picture whose area is averaged.

    Attributes:
        name: of the tensor ``(lines, n)`` uint8. One line or several have the bytes of a row of the picture.
        sides: names of the picture's height and width.
        values, value_bytes: names of scalars: values a pixel, bytes a value (little-endian, side by side).
        step: name of a scalar: bytes from one value of a pixel to the next.
        column: writes nodes from columns of the picture to the places of their first byte in a row.
        row: writes nodes from rows of the picture ``(rows, K)`` to the lines of each ``(rows, K, lines of a row)``.
        start: row and column of the area's first pixel.
    """

    name: str
    sides: tuple[str, str]
    values: str
    value_bytes: str
    step: str
    column: Callable[[str], str]
    row: Callable[[str], str] | None = None
    start: tuple[int, int] = (0, 0)


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


def area_mean(nodes: Nodes, pixels: Pixels, down: Axis, across: Axis) -> str:
    """Means as ``(values, rows, columns)`` float32 of whole numbers.

    Args:
        nodes: gets the nodes.
        pixels: of the picture.
        down, across: the axes.
    """
    vertical = _overlaps(nodes, down, pixels.sides[0], pixels.start[0])
    horizontal = _overlaps(nodes, across, pixels.sides[1], pixels.start[1])
    digits, count = _digits(nodes, vertical.share, down)
    places, worth = _parts(nodes, pixels, horizontal, across.outputs, count)
    few = _few(nodes, vertical, horizontal, pixels.value_bytes)
    # ONNX has no cheap choice between two ways: both are there, and one of them gets no columns.
    split, zero, end = nodes("Where", few, nodes.whole([END]), nodes.whole([0])), nodes.whole([0]), nodes.whole([END])
    ways = (TensorProto.FLOAT, zero, split), (TensorProto.DOUBLE, split, end)
    owns = [
        [nodes("Slice", one, first, last, zero) for one in (places, worth, horizontal.whole, horizontal.tile)]
        for _, first, last in ways
    ]
    strips = STRIPS if down.outputs >= WORTH_STRIPS and down.outputs % STRIPS == 0 else 1
    rows, totals = down.outputs // strips, []
    for first in range(0, down.outputs, rows):
        cut = nodes.whole([first]), nodes.whole([first + rows])
        source, shares = nodes("Slice", vertical.source, *cut, zero), nodes("Slice", digits, *cut, nodes.whole([1]))
        lines = _rows(nodes, pixels, source, shares, rows)
        totals.append(
            [
                _columns(nodes, lines, (own[0], own[1]), (pixels.values, rows), way[0])
                for own, way in zip(owns, ways, strict=True)
            ]
        )
    means = []
    for total, own, (element, _, _) in zip(zip(*totals, strict=True), owns, ways, strict=True):
        ends = (vertical, down.cells), (_Overlaps("", "", own[2], own[3]), across.cells)
        whole = nodes("Concat", *total, axis=2) if strips > 1 else total[0]
        means.append(nodes.cast(_rounded(nodes, whole, *ends, element), TensorProto.FLOAT))
    return nodes("Transpose", nodes("Concat", *means, axis=0), perm=[1, 2, 0])


def _rows(nodes: Nodes, pixels: Pixels, source: str, digits: str, rows: int) -> str:
    """Weighted sums of rows of the picture, turned: ``(n digits, rows)`` int32."""
    lines = nodes("Gather", pixels.name, pixels.row(source) if pixels.row else source, axis=0)
    if pixels.row:
        lines = nodes("Reshape", lines, nodes("Concat", nodes("Shape", source), nodes.whole([-1]), axis=0))
    summed = nodes("MatMulInteger", digits, lines)  # (digits, rows, 1, n)
    flat = nodes("Reshape", summed, nodes.shape(-1, nodes.side(lines, 2)))
    return nodes("Reshape", nodes("Transpose", flat, perm=[1, 0]), nodes.whole([-1, rows]))


def _few(nodes: Nodes, down: _Overlaps, across: _Overlaps, value_bytes: str) -> str:
    """Name of a bool: float32 is exact.

    Sums of values below ``2^b`` over ``p`` shares stay below 2^24 where ``p 2^b`` does. Then a mean that is not
    half-way is also further from it, by ``1 / 2p``, than float32 rounds a quotient below ``2^b``: by ``2^b / 2^25``.
    """
    largest = [nodes("ReduceMax", one.whole, keepdims=0) for one in (down, across)]
    levels = nodes("Gather", nodes.whole([1, 2**8, 2**16]), value_bytes)
    return nodes("Less", nodes("Mul", nodes("Mul", *largest), levels), nodes.whole(2**24))


def _parts(nodes: Nodes, pixels: Pixels, across: _Overlaps, outputs: int, digits: str) -> tuple[str, str]:
    """What is added up: for each output the rows of the turned sums ``(columns, K', values)``, and their worth.

    The worth is ``(columns, K')``. K' is overlapping columns times bytes a value times digits of the vertical shares,
    one after the other.
    """
    zero, one, flat = nodes.whole(0), nodes.whole(1), nodes.whole([-1, 1])
    values, parts, digit = (nodes("Range", zero, n, one) for n in (pixels.values, pixels.value_bytes, digits))
    parts = nodes("Reshape", parts, flat)
    within = nodes("Add", nodes("Mul", parts, digits), digit)  # (bytes, digits)
    within = nodes("Add", nodes("Reshape", within, flat), nodes("Mul", values, nodes("Mul", pixels.step, digits)))
    place = nodes("Unsqueeze", nodes("Mul", pixels.column(across.source), digits), nodes.whole([2, 3]))
    worth = nodes("Gather", nodes.whole([1, 256, 65536]), nodes("Add", parts, digit))
    worth = nodes("Mul", nodes("Unsqueeze", across.share, nodes.whole([2])), nodes("Reshape", worth, nodes.whole([-1])))
    shape = nodes("Concat", nodes.whole([outputs, -1]), nodes.shape(pixels.values), axis=0)
    place = nodes("Reshape", nodes("Add", place, within), shape)
    return place, nodes("Reshape", worth, nodes.whole([outputs, -1]))


def _columns(nodes: Nodes, lines: str, parts: tuple[str, str], size: tuple[str, int], element: int) -> str:
    """Weighted sums ``(columns, values, rows)`` of lines; ``size`` is of the last two."""
    (place, worth), (values, rows) = parts, size
    found = nodes("Gather", lines, place, axis=0)  # (columns, K', values, rows)
    together = nodes.shape(nodes("Mul", values, nodes.whole(rows)))
    found = nodes("Reshape", found, nodes("Concat", nodes("Shape", worth), together, axis=0))
    worth = nodes("Unsqueeze", nodes.cast(worth, element), nodes.whole([1]))
    return nodes("Reshape", nodes("MatMul", worth, nodes.cast(found, element)), nodes.shape(0, values, rows))


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
    """Shares as bytes ``(digits, rows, 1, K)``, the low ones first, and the name of how many digits there are."""
    count = nodes.whole(1)
    digits = nodes("Unsqueeze", share, nodes.whole([0]))
    if axis.cells > 255:  # a share is that large where areas and pixels have nothing in common
        largest = nodes("ReduceMax", nodes("Reshape", share, nodes.whole([-1])), keepdims=0)
        count = nodes("Add", count, nodes("Min", nodes("Div", largest, nodes.whole(256)), nodes.whole(1)))
        powers = nodes("Slice", nodes.whole([[[1]], [[256]]]), nodes.whole([0]), nodes.shape(count))
        digits = nodes("Mod", nodes("Div", digits, powers), nodes.whole(256))
    return nodes("Unsqueeze", nodes.cast(digits, TensorProto.UINT8), nodes.whole([2])), count


def _rounded(nodes: Nodes, total: str, down: tuple[_Overlaps, int], across: tuple[_Overlaps, int], element: int) -> str:
    """``(columns, values, rows)`` sums to means."""
    pixels, twice = [], []
    for (one, cells), shape in ((down, [1, 1, -1]), (across, [-1, 1, 1])):
        pixels.append(nodes.cast(nodes("Reshape", one.whole, nodes.whole(shape)), element))
        double = nodes("Equal", nodes("Reshape", one.tile, nodes.whole(shape)), nodes.whole(2 * cells))
        twice.append(nodes.cast(double, element))
    # Means of 2x2 pixels are quarters: an eighth more turns half-way into up and changes no other.
    dtype = np.float32 if element == TensorProto.FLOAT else np.float64
    up = nodes("Mul", nodes("Mul", twice[0], nodes.constant(0.125, dtype)), twice[1])
    return nodes("Round", nodes("Add", nodes("Div", total, nodes("Mul", *pixels)), up))
