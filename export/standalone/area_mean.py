"""Area means in ONNX: exact, whatever the order in which a processor adds.

Overlaps of pixels and areas are whole numbers. Rows are added in float32, where a sum stays below 255 * 65535 < 2^24;
columns in float64. The mean is rounded to the nearest number and to the even one half-way, as
:mod:`edgeirf.runtime.imaging.resize` rounds it, and up in the case of 2x2 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from edgeirf.export.standalone.nodes import Nodes

MAX_SIDE = 65535
"""Pixels of a side up to which float32 holds the sums of rows."""


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


@dataclass(frozen=True)
class _Overlaps:
    """Names: source of each output ``(n, K)``, and how much of it the output covers."""

    source: str
    share: str


def area_mean(nodes: Nodes, area: str, down: Axis, across: Axis, value_bytes: tuple[str, str]) -> str:
    """``(H, W, bytes)`` uint8 to ``(values, rows, columns)`` float64 of whole numbers.

    Args:
        nodes: gets the nodes.
        area: name of the pixels.
        down, across: the axes.
        value_bytes: names of scalars: values a pixel, bytes a value (little-endian).
    """
    values, width = value_bytes
    rows, columns = down.tiles * down.cells, across.tiles * across.cells
    total = _sums(nodes, area, down, across)  # (columns, bytes * rows)
    total = nodes("Reshape", total, nodes.shape(columns, values, width, rows))
    worth = nodes("Slice", nodes.double([[1.0], [256.0]]), nodes.whole([0]), nodes.shape(width))
    total = nodes("ReduceSum", nodes("Mul", total, worth), nodes.whole([2]), keepdims=0)
    return nodes("Transpose", _rounded(nodes, total, down, across), perm=[1, 2, 0])


def _sums(nodes: Nodes, area: str, down: Axis, across: Axis) -> str:
    height, width = nodes.side(area, 0), nodes.side(area, 1)
    vertical, horizontal = _overlaps(nodes, down, height), _overlaps(nodes, across, width)
    rows = down.tiles * down.cells
    lines = nodes("Gather", nodes("Reshape", area, nodes.shape(height, -1)), vertical.source, axis=0)
    weights = nodes("Unsqueeze", nodes.cast(vertical.share, TensorProto.FLOAT), nodes.whole([1]))
    summed = nodes("MatMul", weights, nodes.cast(lines, TensorProto.FLOAT))  # (rows, 1, W * bytes)
    turned = nodes("Transpose", nodes("Reshape", summed, nodes.whole([rows, -1])), perm=[1, 0])
    turned = nodes("Reshape", turned, nodes.shape(width, -1))  # (W, bytes * rows)
    parts = nodes.cast(nodes("Gather", turned, horizontal.source, axis=0), TensorProto.DOUBLE)
    weights = nodes("Unsqueeze", nodes.cast(horizontal.share, TensorProto.DOUBLE), nodes.whole([1]))
    return nodes("MatMul", weights, parts)


def _overlaps(nodes: Nodes, axis: Axis, there: str) -> _Overlaps:
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
    place = nodes("Min", nodes("Add", start, source), nodes("Sub", there, one))
    return _Overlaps(place, share)


def _positive(nodes: Nodes, tile: str, cells: int) -> str:
    """1 where a tile's pixels are no whole multiple of its cells, else 0."""
    return nodes("Min", nodes("Mod", tile, nodes.whole(cells)), nodes.whole(1))


def _rounded(nodes: Nodes, total: str, down: Axis, across: Axis) -> str:
    """``(columns, values, rows)`` sums to means."""
    rows, columns = _tile_sides(nodes, down), _tile_sides(nodes, across)
    high = nodes("Reshape", rows, nodes.whole([1, 1, -1]))
    wide = nodes("Reshape", columns, nodes.whole([-1, 1, 1]))
    pixels = nodes.cast(nodes("Mul", high, wide), TensorProto.DOUBLE)
    twice = nodes(
        "And",
        nodes("Equal", high, nodes.whole(2 * down.cells)),
        nodes("Equal", wide, nodes.whole(2 * across.cells)),
    )
    # Means of 2x2 pixels are quarters: an eighth more turns half-way into up and changes no other.
    up = nodes("Where", twice, nodes.double(0.125), nodes.double(0.0))
    return nodes("Round", nodes("Add", nodes("Div", total, pixels), up))


def _tile_sides(nodes: Nodes, axis: Axis) -> str:
    """Pixels of the tile of each output."""
    bounds = nodes("Mul", nodes.whole(np.arange(axis.tiles + 1)), axis.length)
    bounds = nodes("Div", bounds, nodes.whole(axis.tiles))
    of = np.repeat(np.arange(axis.tiles), axis.cells)
    return nodes("Sub", nodes("Gather", bounds, nodes.whole(of + 1)), nodes("Gather", bounds, nodes.whole(of)))
