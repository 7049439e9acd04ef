"""The last layers of the graph, which stay in floating point."""

from __future__ import annotations

import onnx

from edgeirf.export.onnx.products import Structure

DENSITY = "/density/"
"""How the names of the density's nodes begin."""
_LINEAR = ("Add", "Transpose", "Reshape", "Identity", "Mul")


def head_products(model: onnx.ModelProto) -> list[str]:
    """Names of the products that write the whitened field, and of the density's own.

    Whitening amplifies every error of theirs in the directions in which good parts hardly vary: INT8 leaves them in
    floating point. They reach the field through sums and transpositions alone.
    """
    structure = Structure.of(model)
    density = [node for node in model.graph.node if node.name.startswith(DENSITY)]
    made_there = {name for node in density for name in node.output}
    found = {node.name for node in density if structure.is_product(node)}
    pending = [name for node in density for name in node.input if name not in made_there]
    pending = pending or [model.graph.output[0].name]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        node = structure.producer.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if structure.is_product(node) and node.op_type == "MatMul":
            found.add(node.name)
        elif node.op_type in _LINEAR:
            pending.extend(node.input)
    return [node.name for node in model.graph.node if node.name in found]


def density_nodes(model: onnx.ModelProto) -> list[str]:
    """Names of the density's nodes: their sums of squares do not fit FP16."""
    return [node.name for node in model.graph.node if node.name.startswith(DENSITY)]
