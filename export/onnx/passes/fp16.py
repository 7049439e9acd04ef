"""The FP16 graph: precision lives in the ONNX types, as strongly typed TensorRT networks want it."""

from __future__ import annotations

import warnings

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from edgeirf.export.onnx.head import density_nodes

FP32_ISLANDS = ["LayerNormalization", "Softmax", "ReduceMean", "ReduceSum", "ReduceL2"]
"""Sums over many values: of squares they pass 65504, of probabilities they lose the small ones."""
LARGEST = 65504.0


def to_fp16(graph: bytes) -> bytes:
    """Weights, activations and products in FP16; norms and the density in FP32; input and output stay float32.

    Args:
        graph: the FP32 ONNX graph.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of weights too small for FP16: the gate judges the result
        model = convert_float_to_float16(
            onnx.load_from_string(graph),
            max_finite_val=LARGEST,
            keep_io_types=True,
            op_block_list=FP32_ISLANDS,
            node_block_list=density_nodes(onnx.load_from_string(graph)),
        )
    _drop_twins(model)
    _drop_round_trips(model)
    OnnxModel.graph_topological_sort(model.graph)  # the converter appends its casts at the end
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _drop_twins(model: onnx.ModelProto) -> None:
    """The converter casts a tensor once for every reader among the blocked nodes, each time under the same name."""
    seen: set[str] = set()
    for node in list(model.graph.node):
        if node.op_type == "Cast" and node.output[0] in seen:
            model.graph.node.remove(node)
        seen.update(node.output)


def _drop_round_trips(model: onnx.ModelProto) -> None:
    """The converter takes a tensor from one blocked node to the next by way of FP16, where sums of squares overflow."""
    source: dict[str, str] = {}  # FP16 tensor to the FP32 tensor it is cast from
    back: dict[str, str] = {}  # FP32 tensor that is cast from FP16 to the FP32 tensor that it was before
    for node in model.graph.node:
        if node.op_type != "Cast":
            continue
        if node.attribute[0].i == onnx.TensorProto.FLOAT16:
            source[node.output[0]] = node.input[0]
    for node in model.graph.node:
        if node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT and node.input[0] in source:
            back[node.output[0]] = source[node.input[0]]
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = back.get(name, name)
    while unread := _unread_casts(model):
        for node in unread:
            model.graph.node.remove(node)


def _unread_casts(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    read = {name for node in model.graph.node for name in node.input} | {o.name for o in model.graph.output}
    return [node for node in model.graph.node if node.op_type == "Cast" and node.output[0] not in read]
