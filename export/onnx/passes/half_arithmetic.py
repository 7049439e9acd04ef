"""FP16 arithmetic for a CPU: ONNX Runtime computes FP16 graphs in float32 there, where 1000 x 1000 is no infinity."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MOVES = frozenset(
    {
        *("Clip", "Concat", "Expand", "Flatten", "Gather", "Identity", "Max", "MaxPool", "Min", "Neg", "Pad", "Relu"),
        *("Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Where"),
    }
)
"""Operators whose results are among their inputs: of rounded values they are rounded."""


def with_half_arithmetic(graph: bytes) -> bytes:
    """The FP16 graph in float32, with each tensor rounded to FP16's 11 bits and range.

    Sums are computed in float32, as tensor cores do it. TensorRT rounds less often, because it joins operators: a
    graph that passes with every tensor rounded passes there.

    Args:
        graph: the FP16 ONNX graph; its casts to FP16 and back become the rounding. ONNX Runtime 1.17 and later keep
            such a pair of casts (microsoft/onnxruntime, pull request 17953).
    """
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(graph))
    infos = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    half = {info.name for info in infos if info.type.tensor_type.elem_type == TensorProto.FLOAT16}
    half |= {weight.name for weight in model.graph.initializer if weight.data_type == TensorProto.FLOAT16}
    nodes = [new for node in model.graph.node for new in _rounded(node, half)]
    for weight in model.graph.initializer:
        _widen(weight)
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _rounded(node: onnx.NodeProto, half: set[str]) -> list[onnx.NodeProto]:
    """The node in float32, and what rounds its FP16 outputs."""
    if node.op_type == "Cast" and node.input[0] in half:
        if next(a.i for a in node.attribute if a.name == "to") == TensorProto.FLOAT:
            return [helper.make_node("Identity", node.input, node.output, node.name)]
        return [node]
    for attribute in node.attribute:
        if attribute.HasField("t"):
            _widen(attribute.t)
    outputs = [name for name in node.output if name in half]
    if node.op_type in MOVES or not outputs:
        return [node]
    if node.op_type == "Cast":  # to FP16: this is the first half of the pair
        name = node.output[0]
        node.output[0] = f"{name}_half"
        return [node, helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_round", to=TensorProto.FLOAT)]
    node.output[:] = [f"{name}_exact" if name in half else name for name in node.output]
    return [node, *(cast for name in outputs for cast in _round(name))]


def _round(name: str) -> list[onnx.NodeProto]:
    exact, half = f"{name}_exact", f"{name}_half"
    return [
        helper.make_node("Cast", [exact], [half], f"{name}_to_half", to=TensorProto.FLOAT16),
        helper.make_node("Cast", [half], [name], f"{name}_round", to=TensorProto.FLOAT),
    ]


def _widen(tensor: onnx.TensorProto) -> None:
    """An FP16 constant as float32, in place."""
    if tensor.data_type == TensorProto.FLOAT16:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
