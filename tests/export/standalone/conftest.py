"""Graphs run by ONNX Runtime, each opened once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeirf.export.standalone.nodes import Nodes

Run = Callable[..., dict[str, NDArray[Any]]]
INPUT = "net_image"
"""Name of the network's input in a standalone graph of the tiny bundle."""


@lru_cache(maxsize=64)
def opened(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


@lru_cache(maxsize=64)
def probed(graph: bytes, name: str) -> bytes:
    """The graph with one more output."""
    model = onnx.load_from_string(graph)
    model.graph.output.append(helper.make_empty_tensor_value_info(name))
    return bytes(model.SerializeToString())


def as_bytes(frame: NDArray[Any]) -> NDArray[np.uint8]:
    """A frame as a graph takes it: ``(height, width, bytes)``."""
    return np.ascontiguousarray(frame).view(np.uint8).reshape(*frame.shape[:2], -1)


def run_graph(graph: bytes, frame: NDArray[Any], *, probe: str = "", **inputs: Any) -> dict[str, NDArray[Any]]:
    """Every output of a standalone graph by name; ``product`` and ``red_first`` where the graph asks for them."""
    session = opened(probed(graph, probe) if probe else graph)
    feed = {"frame": as_bytes(frame), **{name: np.array(value) for name, value in inputs.items()}}
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, feed), strict=True))


def run_nodes(nodes: Nodes, output: str, **inputs: NDArray[Any]) -> NDArray[Any]:
    """One output of nodes alone; inputs may have any size."""
    kinds = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in inputs.items()}
    graph = helper.make_graph(
        nodes.nodes,
        "part",
        [helper.make_tensor_value_info(name, kinds[name], [None] * value.ndim) for name, value in inputs.items()],
        [helper.make_empty_tensor_value_info(output)],
        list(nodes.constants.values()),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    found: NDArray[Any] = opened(model.SerializeToString()).run([output], inputs)[0]
    return found


def int8_network(network: bytes) -> bytes:
    """The network of the tiny bundle with 8 bits for the weights and inputs of its convolution."""
    weight = numpy_helper.to_array(onnx.load_from_string(network).graph.initializer[0])
    scale = np.float32(np.abs(weight).max() / 127)
    constants = {
        "s": np.float32(1 / 127),
        "z": np.int8(0),
        "w": np.rint(weight / scale).astype(np.int8),
        "ws": scale,
    }
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("QuantizeLinear", ["pooled", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["input"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "z"], ["weight"]),
        helper.make_node("Conv", ["input", "weight"], ["field"]),
    ]
    image, field = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "h" + name, "w" + name])
        for name, channels in (("image", 3), ("field", 4))
    )
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "int8", [image], [field], initializers)
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )


@pytest.fixture(scope="session")
def run() -> Run:
    """``run(graph, frame, probe=name, product=0, red_first=False)``: the outputs by name; see :func:`run_graph`."""
    return run_graph


@pytest.fixture(scope="session")
def compute() -> Callable[..., NDArray[Any]]:
    """``compute(nodes, output, **inputs)``: see :func:`run_nodes`."""
    return run_nodes


@pytest.fixture(scope="session")
def int8(tiny_onnx: bytes) -> bytes:
    """See :func:`int8_network`."""
    return int8_network(tiny_onnx)
