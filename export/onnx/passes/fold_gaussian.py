"""The last layers of the graph, into which the Gaussian is folded: found, kept in float, folded again."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgeirf.calib.fitting.gaussian import Gaussian
from edgeirf.export.onnx.products import Structure, drop_unused_weights

_LINEAR = ("Add", "Transpose", "Reshape", "Identity", "Mul")


def head_products(model: onnx.ModelProto) -> list[str]:
    """Names of the products that reach the output through sums and transpositions alone.

    They write the whitened field itself, and whitening amplifies every error of theirs in the directions in which good
    parts hardly vary: INT8 leaves them in floating point.
    """
    return [node.name for node in _products(model)]


def fold_gaussian(graph: bytes, gaussian: Gaussian) -> bytes:
    """The graph of an IRF bundle whose field r becomes Sigma^-1/2 (r - mu): W' = Sigma^-1/2 W, b' = Sigma^-1/2 b.

    Args:
        graph: the FP32 ONNX graph, whose output is a sum of linear layers.
        gaussian: of its field on good parts.
    """
    model = onnx.load_from_string(graph)
    structure = Structure.of(model)
    tensors = {i.name: i for i in model.graph.initializer}
    mean = gaussian.mean
    for node in _products(model):
        weight = numpy_helper.to_array(tensors[node.input[1]]).astype(np.float64)
        addition = structure.readers[node.output[0]][0]
        name = next(name for name in addition.input if name in tensors)
        bias = numpy_helper.to_array(tensors[name]).astype(np.float64)
        node.input[1] = _add(model, f"{node.input[1]}_white", weight @ gaussian.whitener.T)
        place = list(addition.input).index(name)
        addition.input[place] = _add(model, f"{name}_white", gaussian.whitener @ (bias - mean))
        mean = np.zeros_like(mean)  # subtracted once, whatever the number of layers that are added up
    drop_unused_weights(model)
    return bytes(model.SerializeToString())


def _add(model: onnx.ModelProto, name: str, value: NDArray[np.float64]) -> str:
    model.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
    return name


def _products(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    structure = Structure.of(model)
    found: dict[str, onnx.NodeProto] = {}
    pending, seen = [model.graph.output[0].name], set()
    while pending:
        name = pending.pop()
        node = structure.producer.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if structure.is_product(node) and node.op_type == "MatMul":
            found[node.name] = node
        elif node.op_type in _LINEAR:
            pending.extend(node.input)
    return [node for node in model.graph.node if node.name in found]
