"""Runs the FP32 graph on good parts and records the range of every activation that may become INT8."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from edgeirf.calib.fitting.ranges import Histogram
from edgeirf.export.onnx.products import Structure
from edgeirf.runtime.executors.cores import default_threads


def observe(graph: bytes, batches: Iterable[NDArray[np.float32]]) -> dict[str, Histogram]:
    """Histograms of the inputs and outputs of all products and additions.

    Args:
        graph: the FP32 ONNX graph.
        batches: network inputs ``(T, 3, H, W)``.
    """
    model = onnx.load_from_string(graph)
    entry, exit_ = model.graph.input[0].name, model.graph.output[0].name
    names = [name for name in _activations(model) if name not in (entry, exit_)]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = default_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    histograms = {name: Histogram() for name in (entry, *names)}
    for batch in batches:
        histograms[entry].add(batch)
        for name, values in zip(names, session.run(names, {entry: batch}), strict=True):
            histograms[name].add(values)
    return histograms


def _activations(model: onnx.ModelProto) -> list[str]:
    structure = Structure.of(model)
    found: dict[str, None] = {}
    for node in model.graph.node:
        if structure.is_product(node):
            found.update(dict.fromkeys((node.input[0], structure.activated(node))))
        elif node.op_type == "Add" and not structure.constants & set(node.input):
            found.update(dict.fromkeys((*node.input, node.output[0])))
    return list(found)
