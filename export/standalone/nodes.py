"""Writes the nodes of a graph one by one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import ArrayLike, DTypeLike
from onnx import helper, numpy_helper


@dataclass
class Nodes:
    """Nodes and constants of a graph in the making.

    >>> from edgeirf.export.standalone.nodes import Nodes
    >>> nodes = Nodes()
    >>> nodes("Add", "a", nodes.whole(1), out="b")
    'b'

    Attributes:
        nodes: in the order of computation.
        constants: name to initializer.
    """

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    _names: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)

    def constant(self, value: ArrayLike, dtype: DTypeLike) -> str:
        """The name of a constant; equal constants are one."""
        array = np.ascontiguousarray(value, dtype).reshape(np.shape(value))
        name = self._names.setdefault((array.dtype.str, array.shape, array.tobytes()), f"c_{len(self._names)}")
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def whole(self, value: ArrayLike) -> str:
        """An int64 constant."""
        return self.constant(value, np.int64)

    def double(self, value: ArrayLike) -> str:
        """A float64 constant."""
        return self.constant(value, np.float64)

    def __call__(
        self, kind: str, *inputs: str, out: str = "", name: str = "", **attributes: int | str | list[int]
    ) -> str:
        """Appends an operator; gives the name of its first output.

        Args:
            kind: operator of ONNX.
            inputs: names of tensors.
            out: name of the output, by default a new one.
            name: of the node, where a failure is to say what is wrong.
            attributes: of the operator.
        """
        out = out or f"{kind.lower()}_{len(self.nodes)}"
        outputs = [out, f"{out}_places"] if kind == "TopK" else [out]
        if kind in ("Gather", "Slice"):  # ONNX Runtime 1.20 names what it fuses of several by the first of them
            name = name or out
        node = helper.make_node(kind, list(inputs), outputs, name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self.nodes.append(node)
        return out

    def cast(self, value: str, to: int) -> str:
        """Another element type, one of ``onnx.TensorProto``."""
        return self("Cast", value, to=to)

    def shape(self, *sides: str | int) -> str:
        """A shape from scalars and numbers, for Reshape."""
        parts = [self.whole([s]) if isinstance(s, int) else self("Unsqueeze", s, self.whole([0])) for s in sides]
        return self("Concat", *parts, axis=0)

    def side(self, value: str, axis: int) -> str:
        """One side of a tensor as a scalar."""
        return self("Gather", self("Shape", value), self.whole(axis))
