"""A graph on the CPU as the library that it is meant for computes it."""

from __future__ import annotations

from edgeirf.export.onnx.passes.half_arithmetic import with_half_arithmetic
from edgeirf.manifest import Family
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork


def faithful(graph: bytes, precision: str, family: Family) -> OnnxRuntimeNetwork:
    """The network that thresholds, the gate and the golden tolerance are computed with.

    Args:
        graph: the ONNX file.
        precision: of the graph; FP16 is computed with FP16's rounding and range.
        family: what the graph is laid out for; INT8 for TensorRT is computed as the graph has it.
    """
    graph = with_half_arithmetic(graph) if precision == "fp16" else graph
    return OnnxRuntimeNetwork(graph, fuse_int8=family != "tensorrt")
