"""The shapes that operators which compute give: convolution, pooling, products, sums; and their work."""

from __future__ import annotations

import math

from edgeirf.onnx_check.call import Call, Rule, axis_of, broadcast
from edgeirf.onnx_check.graph import ELEMENTS, Shape

_PRODUCTS = ("Conv", "MatMul", "Gemm")
_CHEAP, _FUNCTION = 16, 64
"""Multiply-adds of a product that take as long as one value of another operator, and of one that is no arithmetic."""
_FUNCTIONS = ("Pow", "Erf", "Exp", "Log", "Tanh", "Sigmoid", "Softplus", "Softmax", "LayerNormalization", "Resize")


def work(call: Call, shapes: list[Shape]) -> int:
    """What the node costs in multiply-adds of a product, roughly."""
    kind, each = call.node.kind, 1
    if kind == "Conv":
        each = math.prod(call.shape(1)[1:])
    elif kind in ("MatMul", "Gemm"):
        each = call.shape()[0 if call.int("transA", 0) else -1]
    elif kind in ("AveragePool", "MaxPool"):
        each = math.prod(call.ints("kernel_shape"))
    cost = 1 if kind in _PRODUCTS else _FUNCTION if kind in _FUNCTIONS else _CHEAP
    return cost * max(math.prod(shapes[0]) * each, *(math.prod(shape) for shape in call.present()))


def _broadcast(call: Call) -> list[Shape]:
    return [broadcast(call.present())]


def _same(call: Call) -> list[Shape]:
    return [call.shape()]


def _cast(call: Call) -> list[Shape]:
    shape = call.shape()
    if call.int("to", 0) not in ELEMENTS:  # text takes 32 bytes a value and more
        raise ValueError("Cast to an impossible type")
    return [shape]


def _window(call: Call, kernel: Shape) -> Shape:
    """Height and width after sliding ``kernel`` over the last two sides of the input."""
    size = call.shape()[2:]
    if len(call.shape()) != 4 or len(kernel) != 2 or call.node.attributes.get("auto_pad", "NOTSET") != "NOTSET":
        raise ValueError(f"{call.node.kind} is not over pictures, or pads by itself")
    pads, strides = call.ints("pads", (0,) * 4), call.ints("strides", (1, 1))
    dilations, up = call.ints("dilations", (1, 1)), call.int("ceil_mode", 0) == 1
    if (
        (len(pads), len(strides), len(dilations)) != (4, 2, 2)
        or min(*strides, *dilations, *kernel) < 1
        or min(pads) < 0
    ):
        raise ValueError(f"{call.node.kind} has impossible pads, strides or dilations")
    if max(*pads, *kernel, *dilations) > 4096 or max(kernel) * max(dilations) > 4096:
        raise ValueError(f"{call.node.kind} has a window of more than 4096 pixels")
    sides = []
    for axis in range(2):
        room = size[axis] + pads[axis] + pads[axis + 2] - dilations[axis] * (kernel[axis] - 1) - 1
        sides.append((-(-room // strides[axis]) if up else room // strides[axis]) + 1)
    return tuple(sides)


def _conv(call: Call) -> list[Shape]:
    data, weight, group = call.shape(), call.shape(1), call.int("group", 1)
    if len(data) != 4 or len(weight) != 4 or group < 1 or data[1] != weight[1] * group or weight[0] % group:
        raise ValueError("Conv has weights that do not fit its input")
    if call.ints("kernel_shape", weight[2:]) != weight[2:] or (len(call.inputs) > 2 and call.shape(2) != weight[:1]):
        raise ValueError("Conv has a kernel_shape or bias that does not fit its weights")
    return [(data[0], weight[0], *_window(call, weight[2:]))]


def _pool(call: Call) -> list[Shape]:
    return [(*call.shape()[:2], *_window(call, call.ints("kernel_shape")))]


def _global_pool(call: Call) -> list[Shape]:
    return [(*call.shape()[:2], *(1 for _ in call.shape()[2:]))]


def _matmul(call: Call) -> list[Shape]:
    left, right = call.shape(), call.shape(1)
    if min(len(left), len(right)) < 2 or left[-1] != right[-2]:
        raise ValueError(f"MatMul of {left} and {right}")
    return (
        [(*broadcast([left[:-2], right[:-2]]), left[-2], right[-1])]
        if len(left) + len(right) > 4
        else [(left[0], right[1])]
    )


def _gemm(call: Call) -> list[Shape]:
    left, right = call.shape(), call.shape(1)
    if len(left) != 2 or len(right) != 2:
        raise ValueError("Gemm takes matrices")
    rows, inner = left[::-1] if call.int("transA", 0) else left
    under, columns = right[::-1] if call.int("transB", 0) else right
    if inner != under:
        raise ValueError(f"Gemm of {left} and {right}")
    if len(call.inputs) > 2 and broadcast([(rows, columns), call.shape(2)]) != (rows, columns):
        raise ValueError("Gemm adds what does not fit")
    return [(rows, columns)]


def _reduce(call: Call) -> list[Shape]:
    shape = call.shape()
    asked = call.ints("axes", ()) or call.whole(1) or tuple(range(len(shape)))
    if call.int("noop_with_empty_axes", 0):
        raise ValueError(f"{call.node.kind} may do nothing")
    axes = {axis_of(axis, len(shape)) for axis in asked}
    if call.int("keepdims", 1):
        return [tuple(1 if axis in axes else side for axis, side in enumerate(shape))]
    return [tuple(side for axis, side in enumerate(shape) if axis not in axes)]


COMPUTING: dict[str, Rule] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"), _broadcast),
    **dict.fromkeys(
        (
            *("Erf", "Sqrt", "Exp", "Log", "Relu", "Clip", "Softplus", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh"),
            *("Neg", "Abs", "Softmax", "LayerNormalization", "QuantizeLinear", "DequantizeLinear", "Identity"),
        ),
        _same,
    ),
    **dict.fromkeys(("ReduceSum", "ReduceMax", "ReduceMin", "ReduceMean", "ReduceSumSquare"), _reduce),
    **dict.fromkeys(("AveragePool", "MaxPool"), _pool),
    "Cast": _cast,
    "Conv": _conv,
    "GlobalAveragePool": _global_pool,
    "MatMul": _matmul,
    "Gemm": _gemm,
}
