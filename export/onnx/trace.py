"""torch module to one ONNX graph with a dynamic batch, checked."""

from __future__ import annotations

import io
import math
import os
import tempfile
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

OPSET = 17
INPUT, OUTPUT = "image", "field"
NEUTRAL = {"Conv": 0.0, "MaxPool": -math.inf}
"""What each layer pads with by itself."""


def to_onnx(graph: nn.Module, size: tuple[int, int]) -> bytes:
    """Traces ``graph`` to ONNX (opset 17), input ``image`` ``(N, 3, H, W)``, output ``field`` ``(N, C, h, w)``.

    Opset 17 is the oldest with LayerNormalization as one operator, which keeps its sums in float32 in FP16 engines,
    and old enough for TensorRT 10.3.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.eval(),
            (torch.zeros(1, 3, *size),),
            buffer,  # type: ignore[arg-type]
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "N"}, OUTPUT: {0: "N"}},
            opset_version=OPSET,
            dynamo=False,
        )
    model = fold_constants(buffer.getvalue())
    fold_pads(model)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def fold_constants(data: bytes) -> onnx.ModelProto:
    """Folds values that depend on no input, by ONNX Runtime's basic optimisations: the operators stay standard."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = os.path.join(folder, "folded.onnx")
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        model = onnx.load(options.optimized_model_filepath)
    used = {node.domain for node in model.graph.node}
    for opset in [opset for opset in model.opset_import if opset.domain not in used]:
        model.opset_import.remove(opset)
    return model


def fold_pads(model: onnx.ModelProto) -> None:
    """Moves constant padding into the layer behind it, in place.

    Of zeros into a convolution (TensorFlow's SAME padding), of minus infinity into a maximum.
    """
    graph = model.graph
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    pads = {node.output[0]: node for node in graph.node if node.op_type == "Pad"}
    readers = [name for node in graph.node for name in node.input]
    for layer in list(graph.node):
        pad = pads.get(layer.input[0]) if layer.op_type in NEUTRAL else None
        amounts = None if pad is None else _spatial_padding(pad, constants, NEUTRAL[layer.op_type])
        if pad is None or amounts is None or readers.count(pad.output[0]) != 1:
            continue
        own = next(attribute for attribute in layer.attribute if attribute.name == "pads")
        own.ints[:] = [a + b for a, b in zip(own.ints, amounts, strict=True)]
        layer.input[0] = pad.input[0]
        graph.node.remove(pad)


def _spatial_padding(pad: onnx.NodeProto, constants: dict[str, np.ndarray], neutral: float) -> list[int] | None:
    """``[top, left, bottom, right]`` when the node pads ``(N, C, H, W)`` with ``neutral`` in H and W alone."""
    mode = next((a.s for a in pad.attribute if a.name == "mode"), b"constant")
    amounts = constants.get(pad.input[1]) if len(pad.input) > 1 else None
    value = constants.get(pad.input[2], np.float32(1)) if len(pad.input) > 2 and pad.input[2] else np.float32(0)
    if mode != b"constant" or amounts is None or len(amounts) != 8 or float(np.asarray(value).ravel()[0]) != neutral:
        return None
    n0, c0, top, left, n1, c1, bottom, right = (int(a) for a in amounts)
    return None if any((n0, c0, n1, c1)) else [top, left, bottom, right]
