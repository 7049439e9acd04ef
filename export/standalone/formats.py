"""A camera's bytes to pixels in ONNX, as OpenCV's ``cvtColor`` has them."""

from __future__ import annotations

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


def _nv12(nodes: Nodes, frame: str, start: tuple[int, int]) -> Pixels:
    """BT.601 in fixed point: 20 bits behind the point, as OpenCV computes it."""

    def number(value: ArrayLike) -> str:
        return nodes.constant(value, np.int32)

    lines, width = nodes.side(frame, 0), nodes.side(frame, 1)
    half, pairs = nodes("Div", lines, nodes.whole(3)), nodes("Div", width, nodes.whole(2))
    height = nodes("Mul", half, nodes.whole(2))
    flat = nodes("Reshape", frame, nodes.shape(lines, width), name="nv12_has_one_byte_a_pixel")
    luma = nodes("Slice", flat, nodes.whole([0]), nodes.shape(height), nodes.whole([0]))
    chroma = nodes("Slice", flat, nodes.shape(height), nodes.shape(lines), nodes.whole([0]))
    # A copy in the shape that even sides have: with others the run fails here.
    luma = nodes("Reshape", luma, nodes.shape(half, 2, pairs, 2), name="nv12_has_even_sides")
    chroma = nodes("Reshape", chroma, nodes.shape(half, pairs, 2), name="nv12_has_three_halves_of_a_height")
    luma, chroma = (
        nodes.cast(nodes("Transpose", nodes("Reshape", one, nodes.whole([-1, 2])), perm=[1, 0]), TensorProto.INT32)
        for one in (luma, chroma)
    )
    light = nodes("Max", nodes("Mul", luma, number(1220542)), number(16 * 1220542))
    weights = np.array([[2116026, 0], [-409993, -852492], [0, 1673527]])  # blue, green, red of u, v
    rest = (1 << 19) - 16 * 1220542 - 128 * weights.sum(1, keepdims=True)
    shift = nodes("Add", nodes("MatMul", number(weights), chroma), number(rest))
    light = nodes("Reshape", light, nodes.shape(2, 1, half, 2, pairs))
    value = nodes("Add", light, nodes("Reshape", shift, nodes.shape(3, half, 1, pairs)))
    value = nodes("Clip", nodes("Div", value, number(1 << 20)), number(0), number(255))
    planes = nodes("Reshape", nodes.cast(value, TensorProto.UINT8), nodes.shape(2, 3, height, pairs))
    return Pixels(planes, (height, width), start, 3)


def _bayer(nodes: Nodes, frame: str, pixel_format: PixelFormat, start: tuple[int, int]) -> Pixels:
    """Bilinear: means of the two or four nearest pixels of a colour; the rim repeats the pixels next to it."""
    height, width = nodes.side(frame, 0), nodes.side(frame, 1)
    halves = [nodes("Div", side, nodes.whole(2)) for side in (height, width)]
    cells = nodes("Reshape", frame, nodes.shape(halves[0], 2, halves[1], 2), name="bayer_has_even_sides")
    mosaic = nodes.cast(nodes("Reshape", cells, nodes.shape(1, 1, height, width)), TensorProto.FLOAT)
    weights, half = _bayer_weights(pixel_format[6:10]), np.full(12, 0.5)
    colours = nodes(
        "Conv",
        mosaic,
        nodes.constant(weights, np.float32),
        nodes.constant(half, np.float32),
        kernel_shape=[4, 4],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
    )
    # Even rows, then odd ones; the cast cuts off what is behind the point.
    planes = nodes("Reshape", nodes.cast(colours, TensorProto.UINT8), nodes.shape(2, 3, height, halves[1]))

    def inside(places: str, side: str) -> str:
        return nodes("Min", nodes("Max", places, nodes.whole(1)), nodes("Sub", side, nodes.whole(2)))

    def row(places: str) -> str:
        places, two = inside(places, height), nodes.whole(2)
        return nodes("Add", nodes("Div", places, two), nodes("Mul", nodes("Mod", places, two), halves[0]))

    return Pixels(planes, (height, width), start, 3, row, lambda places: inside(places, width))


def _bayer_weights(colours: str) -> NDArray[np.float64]:
    """``(12, 1, 4, 4)``: for even and odd columns, blue, green, red, even and odd rows: shares of the pixels around."""
    weights = np.zeros((2, 3, 2, 4, 4))
    near = {"own": [(0, 0)], "side": [(0, -1), (0, 1)], "up": [(-1, 0), (1, 0)]}
    near["cross"], near["corners"] = near["side"] + near["up"], [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    for (index, colour), y, x in product(enumerate("bgr"), (0, 1), (0, 1)):

        def at(dy: int, dx: int, y: int = y, x: int = x) -> str:
            return colours[(y + dy) % 2 * 2 + (x + dx) % 2]

        if at(0, 0) == colour:
            places = near["own"]
        elif colour == "g":
            places = near["cross"]
        elif at(0, 1) == colour:
            places = near["side"]
        else:
            places = near["up"] if at(1, 0) == colour else near["corners"]
        for dy, dx in places:
            weights[x, index, y, y + 1 + dy, x + 1 + dx] = 1 / len(places)
    return weights.reshape(12, 1, 4, 4)
