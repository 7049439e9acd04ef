"""The shape of what each operator of the allow-list gives, so that memory and time are known before anything runs.

One rule an operator: node and inputs to the shapes of its outputs. Where an input decides about a shape it must follow
from initializers and other shapes: a graph whose sizes depend on pixels has no bound.
"""

from __future__ import annotations

import math

from edgeirf.onnx_check.call import LARGEST_SIDE, Call, Rule, axis_of, broadcast
from edgeirf.onnx_check.computing import COMPUTING
from edgeirf.onnx_check.graph import Shape


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


def _transpose(call: Call) -> list[Shape]:
    shape = call.shape()
    order = call.ints("perm", tuple(range(len(shape)))[::-1])
    if sorted(order) != list(range(len(shape))):
        raise ValueError("Transpose has an impossible perm")
    return [tuple(shape[axis] for axis in order)]


def _concat(call: Call) -> list[Shape]:
    shapes = call.present()
    axis = axis_of(call.int("axis", 0), len(shapes[0]))
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
        place = axis_of(axis, len(shape))
        shape = _replaced(shape, place, len(range(*slice(start, end, step).indices(shape[place]))))
    return [shape]


def _split(call: Call) -> list[Shape]:
    shape, count = call.shape(), len(call.node.outputs)
    axis = axis_of(call.int("axis", 0), len(shape))
    parts = call.whole(1) or (shape[axis] // max(count, 1),) * count
    if sum(parts) != shape[axis]:
        raise ValueError("Split into parts of another size")
    return [_replaced(shape, axis, part) for part in parts]


def _squeeze(call: Call) -> list[Shape]:
    shape = call.shape()
    axes = {axis_of(axis, len(shape)) for axis in call.whole(1) or ()}
    if not axes or any(shape[axis] != 1 for axis in axes):
        raise ValueError("Squeeze of a side that is not 1")
    return [tuple(side for axis, side in enumerate(shape) if axis not in axes)]


def _unsqueeze(call: Call) -> list[Shape]:
    shape, asked = list(call.shape()), call.whole(1) or ()
    for axis in sorted(axis_of(axis, len(shape) + len(asked)) for axis in asked):
        shape.insert(axis, 1)
    return [tuple(shape)]


def _gather(call: Call) -> list[Shape]:
    shape = call.shape()
    axis = axis_of(call.int("axis", 0), len(shape))
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
    mode, place = (call.node.attributes.get(name) for name in ("mode", "coordinate_transformation_mode"))
    if mode not in (None, "nearest", "linear") or place not in (None, "half_pixel", "pytorch_half_pixel", "asymmetric"):
        raise ValueError("Resize in a way that edgeirf never writes")  # cubic is a thousand times slower
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


def _shape_of(call: Call) -> list[Shape]:
    rank = len(call.shape())
    return [(len(range(rank)[call.int("start", 0) : call.int("end", rank)]),)]


def _replaced(shape: Shape, axis: int, side: int) -> Shape:
    return (*shape[:axis], side, *shape[axis + 1 :])


PAD_MODES = ("constant", "reflect", "edge")
RULES: dict[str, Rule] = {
    **COMPUTING,
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
