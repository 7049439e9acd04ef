"""A bundle's frame contract in ONNX: :class:`edgeirf.frame_contract.FrameContract` once more, for every host."""

from __future__ import annotations

from functools import partial, reduce

import numpy as np
from onnx import TensorProto

from edgeirf.export.standalone.formats import PLAIN
from edgeirf.export.standalone.nodes import Nodes
from edgeirf.frame_contract import COLOUR, FrameContract
from edgeirf.settings import PixelFormat

STEP, END = 8, np.iinfo(np.int64).max
"""Colour is read on every eighth pixel of every eighth row."""


def formats_of(contract: FrameContract | None) -> tuple[PixelFormat, ...]:
    """Those of :data:`edgeirf.export.standalone.formats.PLAIN` that the contract takes."""
    if contract is None:
        return PLAIN
    known = [name for name in PLAIN if (16 if name.endswith("16") else 8) in contract.depths]
    return tuple(name for name in known if contract.channels == 1 or not name.startswith("gray"))


def add_contract(nodes: Nodes, contract: FrameContract, sides: tuple[str, str], kind: tuple[str, str] | None) -> str:
    """Whether a frame is one that the model knows; returns the name of a bool.

    Args:
        nodes: gets the nodes.
        contract: of the bundle.
        sides: height and width of the picture.
        kind: values a pixel and bytes a value of ``frame``; None for Bayer and NV12, which count as colour of 8 bits.
    """
    known = (contract.height, contract.width)
    checks = [nodes("Equal", side, nodes.whole(own)) for side, own in zip(sides, known, strict=True) if own is not None]
    if kind is not None:
        colours, wide = kind
        if len(contract.depths) == 1:
            checks.append(nodes("Equal", wide, nodes.whole(contract.depths[0] // 8)))
        if 16 in contract.depths and contract.bits < 16:
            checks.append(_below_white(nodes, contract.bits, colours, wide))
        checks.append(
            nodes("Equal", colours, nodes.whole(3))
            if contract.channels == 3
            else _is_gray(nodes, contract.bits, colours, wide)
        )
    return reduce(partial(nodes, "And"), checks, nodes.constant(True, np.bool_))


def _below_white(nodes: Nodes, bits: int, colours: str, wide: str) -> str:
    """No value above ``2^bits - 1``: then no high byte is above its high byte."""
    largest = nodes("ReduceMax", "frame", axes=[0, 1], keepdims=0)
    apart = nodes("Reshape", largest, nodes.shape(colours, wide))
    high = nodes("Gather", apart, nodes("Sub", wide, nodes.whole(1)), axis=1)
    high = nodes("ReduceMax", nodes.cast(high, TensorProto.INT64), axes=[0], keepdims=0)
    high = nodes("Where", nodes("Equal", wide, nodes.whole(2)), high, nodes.whole(0))
    return nodes("LessOrEqual", high, nodes.whole((1 << bits) - 1 >> 8))


def _is_gray(nodes: Nodes, bits: int, colours: str, wide: str) -> str:
    """The channels of a sample of pixels are nearly equal."""
    ends, steps = nodes.whole([END, END]), nodes.whole([STEP, STEP])
    sample = nodes("Slice", "frame", nodes.whole([0, 0]), ends, nodes.whole([0, 1]), steps)
    parts = nodes.cast(nodes("Reshape", sample, nodes.shape(-1, colours, wide)), TensorProto.FLOAT)
    factors = nodes("Slice", nodes.constant([1, 256], np.float32), nodes.whole([0]), nodes.shape(wide))
    values = nodes("ReduceSum", nodes("Mul", parts, factors), nodes.whole([2]), keepdims=0)
    spread = nodes(
        "Sub", nodes("ReduceMax", values, axes=[1], keepdims=0), nodes("ReduceMin", values, axes=[1], keepdims=0)
    )
    limits = COLOUR / 255.0 * np.array([0.0, 255.0, 2.0**bits - 1.0])
    limit = nodes("Gather", nodes.constant(limits, np.float32), wide)
    return nodes("LessOrEqual", nodes("ReduceMean", spread, axes=[0], keepdims=0), limit)
