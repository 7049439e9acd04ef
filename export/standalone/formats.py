"""A camera's bytes to pixels in ONNX, as OpenCV's ``cvtColor`` has them."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

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


def to_bgr(nodes: Nodes, frame: str, pixel_format: PixelFormat) -> str:
    """Bayer or NV12 to ``(H, W, 3)`` BGR uint8."""
    return _nv12(nodes, frame) if pixel_format == "nv12" else _bayer(nodes, frame, pixel_format)


def _nv12(nodes: Nodes, frame: str) -> str:
    """BT.601 in fixed point: 20 bits behind the point, as OpenCV computes it."""

    def number(value: int) -> str:
        return nodes.constant(value, np.int32)

    lines, width = nodes.side(frame, 0), nodes.side(frame, 1)
    half = nodes("Div", lines, nodes.whole(3))
    height, pairs = nodes("Mul", half, nodes.whole(2)), nodes("Div", width, nodes.whole(2))
    flat = nodes("Reshape", frame, nodes.shape(lines, width), name="nv12_has_one_byte_a_pixel")
    luma = nodes("Slice", flat, nodes.whole([0]), nodes.shape(height), nodes.whole([0]))
    luma = nodes("Reshape", luma, nodes.shape(half, 2, pairs, 2), name="nv12_has_even_sides")
    chroma = nodes("Slice", flat, nodes.shape(height), nodes.shape(lines), nodes.whole([0]))
    chroma = nodes("Reshape", chroma, nodes.shape(half, 1, pairs, 1, 2), name="nv12_has_three_halves_of_a_height")
    light = nodes("Sub", nodes.cast(luma, TensorProto.INT32), number(16))
    light = nodes("Mul", nodes("Max", light, number(0)), number(1220542))
    colour = nodes("Sub", nodes.cast(chroma, TensorProto.INT32), number(128))
    weights = nodes.constant([[2116026, -409993, 0], [0, -852492, 1673527]], np.int32)
    u, v = (nodes("Gather", colour, nodes.whole([i]), axis=4) for i in (0, 1))
    shift = nodes("Mul", u, nodes("Gather", weights, nodes.whole(0)))
    shift = nodes("Add", shift, nodes("Mul", v, nodes("Gather", weights, nodes.whole(1))))
    shift = nodes("Add", shift, number(1 << 19))
    value = nodes("Div", nodes("Add", nodes("Unsqueeze", light, nodes.whole([4])), shift), number(1 << 20))
    value = nodes("Min", nodes("Max", value, number(0)), number(255))
    return nodes("Reshape", nodes.cast(value, TensorProto.UINT8), nodes.shape(height, width, 3))


def _bayer(nodes: Nodes, frame: str, pixel_format: PixelFormat) -> str:
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
    full = nodes("DepthToSpace", nodes("Floor", colours), blocksize=2, mode="CRD")
    bytes_ = nodes.cast(full, TensorProto.UINT8)
    for axis, side in ((2, height), (3, width)):
        places = nodes("Range", nodes.whole(0), side, nodes.whole(1))
        last = nodes("Sub", side, nodes.whole(2))
        places = nodes("Min", nodes("Max", places, nodes.whole(1)), last)
        bytes_ = nodes("Gather", bytes_, places, axis=axis)
    return nodes("Squeeze", nodes("Transpose", bytes_, perm=[0, 2, 3, 1]), nodes.whole([0]))


def _bayer_weights(colours: str) -> NDArray[np.float64]:
    """``(12, 1, 4, 4)``: for blue, green, red and each pixel of 2x2, its share of the pixels around."""
    weights = np.zeros((3, 2, 2, 4, 4))
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
            weights[index, y, x, y + 1 + dy, x + 1 + dx] = 1 / len(places)
    return weights.reshape(12, 1, 4, 4)
