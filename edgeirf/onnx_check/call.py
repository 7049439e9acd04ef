"""One node of a graph with what is known of its inputs, and what rules ask of them."""

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
    """What is known of a tensor: its shape; its values where it is small and no pixel decides about them."""

    shape: Shape
    values: NDArray[np.generic] | None = None

    @classmethod
    def of(cls, tensor: Tensor) -> Known:
        """An initializer."""
        return cls(tensor.shape, tensor.array() if math.prod(tensor.shape) <= SMALL else None)


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


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front.

    Raises:
        ValueError: there is no such axis.
    """
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank}")
    return axis % rank


def _whole(value: float) -> int:
    if not np.isfinite(value) or value != int(value):
        raise ValueError(f"{value} is no whole number")
    return int(value)
