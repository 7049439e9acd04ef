"""What a graph costs, counted from the shapes that ONNX Runtime's profiler reports; the onnx package is not needed."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from edgeirf.errors import BackendError

Shape = tuple[int, ...]
_MATRIX = ("Conv", "Gemm", "MatMul", "ConvTranspose", "FusedConv", "FusedMatMul")
_MOVES = ("Transpose", "Concat", "Reshape", "Slice", "Split", "Identity", "Squeeze", "Unsqueeze", "Flatten", "Cast")


@dataclass(frozen=True)
class Cost:
    """Of one run of a graph.

    Attributes:
        matrix_flops: of convolutions and matrix products, two for each multiply-add.
        other_flops: one for each output value of every other operator that computes.
        weights: parameters.
        inputs, outputs: values of the graph's own input and output.
        activations: values that every node reads and writes beside its parameters, were nothing fused.
    """

    matrix_flops: int
    other_flops: int
    weights: int
    inputs: int
    outputs: int
    activations: int


def count(graph: bytes, input_shape: Shape) -> Cost:
    """Runs the graph once on the CPU, unoptimised and profiled, and adds up.

    Raises:
        BackendError: ONNX Runtime refuses the graph.
    """
    nodes, output = _profile(graph, input_shape)
    weights = sum(int(node["parameter_size"]) for node in nodes) // 4
    matrix = sum(_matrix_flops(node) for node in nodes if node["op_name"] in _MATRIX)
    other = sum(_values(node["output_type_shape"]) for node in nodes if node["op_name"] not in (*_MATRIX, *_MOVES))
    moved = sum(int(node["activation_size"]) + int(node["output_size"]) for node in nodes) // 4
    return Cost(matrix, other, weights, math.prod(input_shape), output, moved)


def _profile(graph: bytes, input_shape: Shape) -> tuple[list[dict[str, Any]], int]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.enable_profiling = True
    options.add_session_config_entry("session.disable_prepacking", "1")  # packed weights vanish from the report
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        try:
            session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            (out,) = session.run(None, {session.get_inputs()[0].name: np.zeros(input_shape, np.float32)})
        except Exception as error:  # ONNX Runtime raises a class of its own for each status
            raise BackendError(f"ONNX Runtime refuses the graph: {str(error).splitlines()[0]}") from None
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    nodes = [e["args"] for e in events if e.get("cat") == "Node" and e["name"].endswith("_kernel_time")]
    return nodes, int(out.size)


def _matrix_flops(node: dict[str, Any]) -> int:
    inputs = [_shape(described) for described in node["input_type_shape"]]
    outputs = _values(node["output_type_shape"])
    if node["op_name"] in ("Conv", "FusedConv"):  # weight: (out, in / groups, kernel...)
        return 2 * outputs * math.prod(inputs[1][1:])
    if node["op_name"] == "ConvTranspose":  # weight: (in, out / groups, kernel...), applied at each input value
        return 2 * math.prod(inputs[0]) * math.prod(inputs[1][1:])
    # (..., M, K) x (..., K, N): K follows from the sizes, whichever side is transposed.
    columns = _shape(node["output_type_shape"][0])[-1]
    return 2 * outputs * (math.prod(inputs[0]) * columns // outputs)


def _shape(described: dict[str, list[int]]) -> Shape:
    (dimensions,) = described.values()
    return tuple(dimensions)


def _values(described: list[dict[str, list[int]]]) -> int:
    return sum(math.prod(_shape(one)) for one in described)
