"""The shape of what each operator of the allow-list gives, so that memory and time are known before anything runs.

One rule an operator: node and inputs to the shapes of its outputs. Where an input decides about a shape it must follow
from initializers and other shapes: a graph whose sizes depend on pixels has no bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeirf.onnx_check.graph import Node, Shape, Tensor

LARGEST_SIDE = 1 << 31


SMALL = 64
"""Values of the largest tensor whose values are followed."""


@dataclass(frozen=True)
class Known:
    """What is known of a tensor: its shape; its values where it is small and no pixel decides about them.

    Attributes:
        stored: it is part of the file, not computed.
    """

    shape: Shape
    values: NDArray[np.generic] | None = None
    stored: bool = False

    @classmethod
    def of(cls, tensor: Tensor) -> Known:
        """An initializer."""
        return cls(tensor.shape, tensor.array() if math.prod(tensor.shape) <= SMALL else None, stored=True)


class Call:
    """One node with its inputs, and what rules ask of them."""

    def __init__(self, node: Node, inputs: Sequence[Known | None]) -> None:
        self.node = node
        self.inputs = inputs

    def shape(self, index: int = 0) -> Shape:
        """Shape of an input that must be there."""
        known = self.inputs[index] if index < len(self.inputs) else None
        if known is None:
            raise ValueError(f"{self.node.kind} lacks an input")
        return known.shape

    def present(self) -> list[Shape]:
        """Shapes of all inputs that are there; at least one."""
        return [known.shape for known in self.inputs if known is not None] or [self.shape()]

    def constant(self, index: int) -> tuple[float, ...] | None:
        """Values of an input that decides about a shape; None where it is left out."""
        known = self.inputs[index] if index < len(self.inputs) else None
        if known is None:
            return None
        if known.values is None:
            raise ValueError(f"{self.node.kind} takes a size that pixels decide about")
        return tuple(known.values.ravel().tolist())

    def whole(self, index: int) -> tuple[int, ...] | None:
        """:meth:`constant` as whole numbers."""
        values = self.constant(index)
        return None if values is None else tuple(_whole(value) for value in values)

    def ints(self, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """An attribute that is a list of whole numbers."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, tuple):
            raise ValueError(f"{self.node.kind} lacks {name}")
        return value

    def int(self, name: str, default: int) -> int:
        """An attribute that is a whole number."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, int):
            raise ValueError(f"{self.node.kind} has a {name} that is no whole number")
        return value


Rule = Callable[[Call], list[Shape]]


def infer(call: Call) -> list[Shape]:
    """Shapes of the node's outputs.

    Raises:
        ValueError: the inputs do not go together, or a side is out of range.
    """
    shapes = RULES[call.node.kind](call)
    if len(shapes) != len(call.node.outputs):
        raise ValueError(f"{call.node.kind} has {len(call.node.outputs)} outputs")
    if any(not 1 <= side < LARGEST_SIDE for shape in shapes for side in shape):
        raise ValueError(f"{call.node.kind} gives an empty or endless tensor")
    return shapes


def follow(call: Call, shapes: list[Shape]) -> NDArray[np.generic] | None:
    """Values of the node's output, where it computes with shapes: the attention of torch does."""
    kind = call.node.kind
    if kind == "Shape":
        values = np.array(call.shape(), np.int64)
        return values[call.int("start", 0) : call.int("end", len(values))]
    inputs = [known.values for known in call.inputs if known is not None and known.values is not None]
    if kind not in FOLLOWED or len(inputs) != len(call.inputs) or math.prod(shapes[0]) > SMALL:
        return None
    if any(values.dtype != np.int64 for values in inputs):
        return None
    with np.errstate(all="ignore"):
        return FOLLOWED[kind](call, inputs).reshape(shapes[0])


def _sliced(call: Call, inputs: list[NDArray[np.generic]]) -> NDArray[np.generic]:
    starts, ends, *rest = (values.ravel().tolist() for values in inputs[1:])
    axes = rest[0] if rest else range(len(starts))
    steps = rest[1] if len(rest) > 1 else [1] * len(starts)
    values = inputs[0]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        places = range(*slice(start, end, step).indices(values.shape[axis]))
        values = values.take(list(places), axis)
    return values


Follow = Callable[[Call, list[NDArray[np.generic]]], NDArray[np.generic]]
FOLLOWED: dict[str, Follow] = {
    "Gather": lambda call, inputs: inputs[0].take(inputs[1].astype(int), call.int("axis", 0)),
    "Concat": lambda call, inputs: np.concatenate(inputs, call.int("axis", 0)),
    "Mul": lambda call, inputs: np.multiply(*inputs),
    "Div": lambda call, inputs: np.floor_divide(*inputs) if inputs[1].all() else np.zeros(1, np.int64),
    "Slice": _sliced,
    "Squeeze": lambda call, inputs: inputs[0],
    "Unsqueeze": lambda call, inputs: inputs[0],
}


def work(call: Call, shapes: list[Shape]) -> int:
    """Multiply-adds of the node, roughly."""
    each = 1
    if call.node.kind == "Conv":
        each = math.prod(call.shape(1)[1:])
    elif call.node.kind in ("MatMul", "Gemm"):
        each = call.shape()[0 if call.int("transA", 0) else -1]
    elif call.node.kind in ("AveragePool", "MaxPool"):
        each = math.prod(call.ints("kernel_shape"))
    return max(math.prod(shapes[0]) * each, *(math.prod(shape) for shape in call.present()))


def _broadcast(call: Call) -> list[Shape]:
    return [broadcast(call.present())]


def broadcast(shapes: list[Shape]) -> Shape:
    """The common shape of numpy's and ONNX's broadcasting."""
    rank = max(map(len, shapes))
    sides = [
        {side for side in column if side != 1}
        for column in zip(*((1,) * (rank - len(s)) + s for s in shapes), strict=True)
    ]
    if any(len(column) > 1 for column in sides):
        raise ValueError(f"shapes {' and '.join(map(str, shapes))} do not go together")
    return tuple(column.pop() if column else 1 for column in sides)


def _same(call: Call) -> list[Shape]:
    return [call.shape()]


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


def _transpose(call: Call) -> list[Shape]:
    shape = call.shape()
    order = call.ints("perm", tuple(range(len(shape)))[::-1])
    if sorted(order) != list(range(len(shape))):
        raise ValueError("Transpose has an impossible perm")
    return [tuple(shape[axis] for axis in order)]


def _concat(call: Call) -> list[Shape]:
    shapes = call.present()
    axis = _axis(call.int("axis", 0), len(shapes[0]))
    if any(
        len(s) != len(shapes[0]) or s[:axis] + s[axis + 1 :] != shapes[0][:axis] + shapes[0][axis + 1 :] for s in shapes
    ):
        raise ValueError("Concat of shapes that do not go together")
    return [_replaced(shapes[0], axis, sum(shape[axis] for shape in shapes))]


def _reshape(call: Call) -> list[Shape]:
    old, asked = call.shape(), call.whole(1)
    if asked is None or call.int("allowzero", 0) or asked.count(-1) > 1 or min(asked, default=1) < -1:
        raise ValueError("Reshape to an impossible shape")
    if any(side == 0 and index >= len(old) for index, side in enumerate(asked)):
        raise ValueError("Reshape keeps a side that is not there")
    shape = [old[index] if side == 0 else side for index, side in enumerate(asked)]
    if -1 in shape:
        rest = math.prod(side for side in shape if side != -1)
        shape[shape.index(-1)] = math.prod(old) // max(rest, 1)
    if math.prod(shape) != math.prod(old):
        raise ValueError(f"Reshape of {old} to {asked}")
    return [tuple(shape)]


def _slice(call: Call) -> list[Shape]:
    shape, starts, ends = call.shape(), call.whole(1), call.whole(2)
    if starts is None or ends is None:
        raise ValueError("Slice lacks its bounds")
    axes = call.whole(3) or tuple(range(len(starts)))
    steps = call.whole(4) or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise ValueError("Slice has impossible bounds")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = _axis(axis, len(shape))
        shape = _replaced(shape, place, len(range(*slice(start, end, step).indices(shape[place]))))
    return [shape]


def _split(call: Call) -> list[Shape]:
    shape, count = call.shape(), len(call.node.outputs)
    axis = _axis(call.int("axis", 0), len(shape))
    parts = call.whole(1) or (shape[axis] // max(count, 1),) * count
    if sum(parts) != shape[axis]:
        raise ValueError("Split into parts of another size")
    return [_replaced(shape, axis, part) for part in parts]


def _squeeze(call: Call) -> list[Shape]:
    shape = call.shape()
    axes = {_axis(axis, len(shape)) for axis in call.whole(1) or ()}
    if not axes or any(shape[axis] != 1 for axis in axes):
        raise ValueError("Squeeze of a side that is not 1")
    return [tuple(side for axis, side in enumerate(shape) if axis not in axes)]


def _unsqueeze(call: Call) -> list[Shape]:
    shape, asked = list(call.shape()), call.whole(1) or ()
    for axis in sorted(_axis(axis, len(shape) + len(asked)) for axis in asked):
        shape.insert(axis, 1)
    return [tuple(shape)]


def _gather(call: Call) -> list[Shape]:
    shape = call.shape()
    axis = _axis(call.int("axis", 0), len(shape))
    indices = call.whole(1)
    if indices is None or any(not -shape[axis] <= index < shape[axis] for index in indices):
        raise ValueError("Gather of what is not there")
    return [(*shape[:axis], *call.shape(1), *shape[axis + 1 :])]


def _pad(call: Call) -> list[Shape]:
    shape, pads = call.shape(), call.whole(1)
    if pads is None or len(pads) != 2 * len(shape) or call.node.attributes.get("mode", "constant") not in PAD_MODES:
        raise ValueError("Pad by impossible amounts")
    if min(pads) < 0 or max(pads) > 4096 or len(call.inputs) > 3:
        raise ValueError("Pad by a negative amount or more than 4096")
    return [tuple(side + pads[i] + pads[i + len(shape)] for i, side in enumerate(shape))]


def _resize(call: Call) -> list[Shape]:
    shape, scales, sizes = call.shape(), call.constant(2), call.whole(3)
    if sizes is not None and not scales:
        if len(sizes) != len(shape):
            raise ValueError("Resize to another number of sides")
        return [sizes]
    if scales is None or len(scales) != len(shape) or not all(0 < scale < LARGEST_SIDE for scale in scales):
        raise ValueError("Resize by impossible scales")
    return [tuple(int(side * scale) for side, scale in zip(shape, scales, strict=True))]


def _expand(call: Call) -> list[Shape]:
    asked = call.whole(1)
    if asked is None or min(asked, default=1) < 1:
        raise ValueError("Expand to an impossible shape")
    return [broadcast([call.shape(), asked])]


def _tile(call: Call) -> list[Shape]:
    shape, repeats = call.shape(), call.whole(1)
    if repeats is None or len(repeats) != len(shape):
        raise ValueError("Tile by impossible repeats")
    return [tuple(side * times for side, times in zip(shape, repeats, strict=True))]


def _reduce(call: Call) -> list[Shape]:
    shape = call.shape()
    asked = call.ints("axes", ()) or call.whole(1) or tuple(range(len(shape)))
    if call.int("noop_with_empty_axes", 0):
        raise ValueError(f"{call.node.kind} may do nothing")
    axes = {_axis(axis, len(shape)) for axis in asked}
    if call.int("keepdims", 1):
        return [tuple(1 if axis in axes else side for axis, side in enumerate(shape))]
    return [tuple(side for axis, side in enumerate(shape) if axis not in axes)]


def _shape_of(call: Call) -> list[Shape]:
    rank = len(call.shape())
    return [(len(range(rank)[call.int("start", 0) : call.int("end", rank)]),)]


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank}")
    return axis % rank


def _replaced(shape: Shape, axis: int, side: int) -> Shape:
    return (*shape[:axis], side, *shape[axis + 1 :])


def _whole(value: float) -> int:
    if not np.isfinite(value) or value != int(value):
        raise ValueError(f"{value} is no whole number")
    return int(value)


PAD_MODES = ("constant", "reflect", "edge")
RULES: dict[str, Rule] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"), _broadcast),
    **dict.fromkeys(
        (
            *("Erf", "Sqrt", "Exp", "Log", "Relu", "Clip", "Softplus", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh"),
            *("Neg", "Abs", "Cast", "Softmax", "LayerNormalization", "QuantizeLinear", "DequantizeLinear", "Identity"),
        ),
        _same,
    ),
    **dict.fromkeys(("ReduceSum", "ReduceMax", "ReduceMin", "ReduceMean", "ReduceSumSquare"), _reduce),
    **dict.fromkeys(("AveragePool", "MaxPool"), _pool),
    "Conv": _conv,
    "GlobalAveragePool": _global_pool,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Shape": _shape_of,
    "Transpose": _transpose,
    "Concat": _concat,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Gather": _gather,
    "Pad": _pad,
    "Resize": _resize,
    "Expand": _expand,
    "Tile": _tile,
}
