"""Values of small tensors that no pixel decides about: torch computes with shapes inside a graph."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgeirf.onnx_check.call import SMALL, Call
from edgeirf.onnx_check.graph import Shape


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
