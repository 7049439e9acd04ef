"""Small networks of the kinds edgeirf exports, in every precision, and the real TensorRT-RTX to build them with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeirf.errors import BackendError
from edgeirf.runtime.tensorrt import library
from edgeirf.runtime.tensorrt.library import Library

MakeGraph = Callable[..., bytes]
SIDE = 64


class GraphBuilder:
    """Writes an ONNX graph node by node; weights come quantised, halved or plain, as ``precision`` says.

    Args:
        precision: ``fp32``, ``fp16`` or ``int8``.
        scale_shape: of the activations' scales: ``()`` is what TensorRT fuses, ``(1,)`` what it silently does not.
    """

    def __init__(self, precision: str, scale_shape: tuple[int, ...] = ()) -> None:
        self.precision, self.scale_shape = precision, scale_shape
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.rng = np.random.default_rng(0)
        self.float = np.float16 if precision == "fp16" else np.float32
        self.top = self.add("Cast", ["image"], "to_half", to=TensorProto.FLOAT16) if precision == "fp16" else "image"

    def constant(self, name: str, value: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [f"{name}:0"], name=name, **attributes))
        self.top = f"{name}:0"
        return self.top

    def conv(self, name: str, channels: tuple[int, int], kernel: int, stride: int = 1, group: int = 1) -> str:
        weight = self.rng.standard_normal((channels[1], channels[0] // group, kernel, kernel)) * 0.1
        inputs = [
            self._quantised(name),
            self._weight(name, weight, 0),
            self.constant(f"{name}.b", self._zeros(channels[1])),
        ]
        return self.add("Conv", inputs, name, strides=[stride] * 2, pads=[kernel // 2] * 4, group=group)

    def matmul(self, name: str, channels: tuple[int, int]) -> str:
        weight = self.rng.standard_normal(channels) * 0.1
        self.add("MatMul", [self._quantised(name), self._weight(name, weight, 1)], name)
        return self.add("Add", [self.top, self.constant(f"{name}.b", self._zeros(channels[1]))], f"{name}.add")

    def build(self, batch: int | str = "n") -> bytes:
        if self.precision == "fp16":
            self.add("Cast", [self.top], "to_float", to=TensorProto.FLOAT)
        self.nodes.append(helper.make_node("Identity", [self.top], ["field"], name="out"))
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])
        field = helper.make_tensor_value_info("field", TensorProto.FLOAT, [batch, "c", "h", "w"])
        graph = helper.make_graph(self.nodes, "graph", [image], [field], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        return model.SerializeToString()

    def _zeros(self, count: int) -> NDArray[Any]:
        return np.zeros(count, self.float)

    def _weight(self, name: str, weight: NDArray[Any], axis: int) -> str:
        if self.precision != "int8":
            return self.constant(f"{name}.w", weight.astype(self.float))
        others = tuple(i for i in range(weight.ndim) if i != axis)
        scale = (np.abs(weight).max(others, keepdims=True) / 127).astype(np.float32)
        values = self.constant(f"{name}.w", np.round(weight / scale).astype(np.int8))
        top = self.top
        inputs = [
            values,
            self.constant(f"{name}.ws", scale.ravel()),
            self.constant(f"{name}.wz", np.zeros(scale.size, np.int8)),
        ]
        dequantised = self.add("DequantizeLinear", inputs, f"{name}.wdq", axis=axis)
        self.top = top
        return dequantised

    def _quantised(self, name: str) -> str:
        if self.precision != "int8":
            return self.top
        scale = self.constant(f"{name}.s", np.full(self.scale_shape, 0.02, np.float32))
        zero = self.constant(f"{name}.z", np.zeros(self.scale_shape, np.int8))
        self.add("QuantizeLinear", [self.top, scale, zero], f"{name}.q")
        return self.add("DequantizeLinear", [self.top, scale, zero], f"{name}.dq")


def conv_network(precision: str, scale_shape: tuple[int, ...] = (), batch: int | str = "n") -> bytes:
    """The shape of the shipped models: strided, depth-wise and point-wise convolutions, a norm, an MLP, a residual."""
    net = GraphBuilder(precision, scale_shape)
    net.conv("stem", (3, 32), 3, stride=2)
    net.add("Relu", [net.top], "stem.relu")
    net.conv("depthwise", (32, 32), 7, group=32)
    skip = net.conv("pointwise", (32, 64), 1)
    net.add("Transpose", [skip], "channels_last", perm=[0, 2, 3, 1])
    ones, zeros = net.constant("norm.w", np.ones(64, net.float)), net.constant("norm.b", np.zeros(64, net.float))
    net.add("LayerNormalization", [net.top, ones, zeros], "norm", axis=-1)
    net.matmul("expand", (64, 128))
    net.add("Relu", [net.top], "expand.relu")
    net.matmul("contract", (128, 64))
    net.add("Transpose", [net.top], "channels_first", perm=[0, 3, 1, 2])
    net.add("Add", [net.top, skip], "residual")
    net.conv("head", (64, 48), 1)
    return net.build(batch)


def attention_network(precision: str) -> bytes:
    """Patches, one self-attention of two heads, a projection: products of activations have no quantised weights."""
    net = GraphBuilder(precision)
    net.conv("patches", (3, 64), 15, stride=16)
    net.add("Reshape", [net.top, net.constant("flat.s", np.array([0, 64, -1]))], "flat")
    tokens = net.add("Transpose", [net.top], "tokens", perm=[0, 2, 1])
    heads = {}
    for name, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        net.top = tokens
        net.matmul(name, (64, 64))
        net.add("Reshape", [net.top, net.constant(f"{name}.h", np.array([0, -1, 2, 32]))], f"{name}.split")
        heads[name] = net.add("Transpose", [net.top], f"{name}.heads", perm=order)
    net.add("MatMul", [heads["q"], heads["k"]], "scores")
    net.add("Softmax", [net.top], "softmax", axis=-1)
    net.add("MatMul", [net.top, heads["v"]], "mix")
    net.add("Transpose", [net.top], "mix.back", perm=[0, 2, 1, 3])
    net.add("Reshape", [net.top, net.constant("merge.s", np.array([0, -1, 64]))], "merge")
    net.matmul("project", (64, 64))
    net.add("Transpose", [net.top], "channels", perm=[0, 2, 1])
    net.add("Reshape", [net.top, net.constant("grid.s", np.array([0, 64, 4, 4]))], "grid")
    return net.build()


@pytest.fixture(scope="session")
def conv_graph() -> MakeGraph:
    """``conv_graph(precision, scale_shape, batch)``; see :func:`conv_network`."""
    return conv_network


@pytest.fixture(scope="session")
def attention_graph() -> MakeGraph:
    """``attention_graph(precision)``; see :func:`attention_network`."""
    return attention_network


@pytest.fixture(scope="session")
def rtx() -> Library:
    """The real TensorRT-RTX, which builds engines without a GPU."""
    try:
        return library.load("tensorrt_rtx")
    except BackendError as error:
        pytest.skip(str(error))
