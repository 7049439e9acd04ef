"""Explicit INT8: QuantizeLinear / DequantizeLinear pairs written into the FP32 graph, one layout a family of back ends.

Weights are stored as int8 with one symmetric scale an output channel. Where the pairs stand decides what a library
fuses:

- TensorRT wants them before every product, signed and symmetric, with scalar scales and floating-point biases.
- ONNX Runtime's CPU kernels (QLinearConv, MatMulIntegerToFloat, QLinearAdd) want unsigned activations with a zero
  point, quantised outputs of convolutions and additions too, and int32 biases.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgeirf.export.onnx.products import Structure, drop_unused_weights

Layout = Literal["tensorrt", "onnxruntime"]
Ranges = Mapping[str, tuple[float, float]]
"""Tensor to its lowest and highest value."""

SMALLEST_SCALE = 1e-12
LARGEST_WEIGHT, LARGEST_IN_PAIRS = 127, 64
"""A processor with AVX2 and without VNNI adds two products of uint8 and int8 in 16 bits, which overflows with 127:
2 * 255 * 64 fits. So the graph gives the same scores on every processor. Depth-wise kernels add in 32 bits."""


def to_int8(graph: bytes, ranges: Ranges, layout: Layout, keep: Set[str] = frozenset()) -> bytes:
    """Quantises all products but those in ``keep``.

    Args:
        graph: the FP32 ONNX graph.
        ranges: of every activation, see :func:`edgeirf.export.precision.quantisers.observe.observe`.
        layout: the family of back ends the pairs are placed for.
        keep: names of nodes that stay in floating point.
    """
    model = onnx.load_from_string(graph)
    _Writer(model, ranges, layout, keep).write()
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


@dataclass(frozen=True)
class _Scale:
    """value = scale * (quantised - zero_point)."""

    scale: float
    zero_point: int


def scale_of(lowest: float, highest: float, layout: Layout) -> _Scale:
    """Symmetric int8 for TensorRT, uint8 with a zero point for ONNX Runtime; 0 is exact in both."""
    if layout == "tensorrt":
        return _Scale(max(-lowest, highest, SMALLEST_SCALE) / 127, 0)
    lowest, highest = min(lowest, 0.0), max(highest, 0.0)
    scale = max(highest - lowest, SMALLEST_SCALE) / 255
    return _Scale(scale, round(-lowest / scale))


class _Writer:
    def __init__(self, model: onnx.ModelProto, ranges: Ranges, layout: Layout, keep: Set[str]) -> None:
        self.model, self.ranges, self.layout, self.keep = model, ranges, layout, keep
        self.structure = Structure.of(model)
        self.weights = {i.name: i for i in model.graph.initializer}
        self.before: dict[str, list[onnx.NodeProto]] = {}  # node name to what must come just before it
        self.pairs: dict[str, str] = {}  # tensor to its dequantised twin

    def write(self) -> None:
        products = [n for n in self.model.graph.node if self.structure.is_product(n) and n.name not in self.keep]
        fused = self._fused_outputs(products) if self.layout == "onnxruntime" else {}
        chosen = {node.name for node in products}
        for tensor in dict.fromkeys([*fused, *(node.input[0] for node in products)]):
            readers = self.structure.readers.get(tensor, [])
            self._insert_pair(tensor, readers if tensor in fused else [n for n in readers if n.name in chosen])
        for node in products:
            self._quantise_weights(node)
        nodes = [new for node in self.model.graph.node for new in (*self.before.get(node.name, ()), node)]
        del self.model.graph.node[:]
        self.model.graph.node.extend(nodes)
        drop_unused_weights(self.model)
        del self.model.graph.value_info[:]  # of tensors that are no more

    def _fused_outputs(self, products: list[onnx.NodeProto]) -> dict[str, None]:
        """Outputs that a quantised kernel writes itself: of convolutions, and of sums of two such outputs."""
        last = {output.name for output in self.model.graph.output}
        fused = {self.structure.activated(n): None for n in products if n.op_type == "Conv"}
        for node in self.model.graph.node:
            if node.op_type == "Add" and all(name in fused for name in node.input) and node.name not in self.keep:
                fused[node.output[0]] = None
        return {name: None for name in fused if name not in last}

    def _insert_pair(self, tensor: str, readers: list[onnx.NodeProto]) -> None:
        if not readers:
            return
        found = scale_of(*self.ranges[tensor], self.layout)
        kind = np.int8 if self.layout == "tensorrt" else np.uint8
        constants = [
            self._constant(f"{tensor}_scale", np.array(found.scale, np.float32)),
            self._constant(f"{tensor}_zero_point", np.array(found.zero_point, kind)),
        ]
        quantised, twin = f"{tensor}_quantised", f"{tensor}_dequantised"
        pair = [
            helper.make_node("QuantizeLinear", [tensor, *constants], [quantised], f"{tensor}_QuantizeLinear"),
            helper.make_node("DequantizeLinear", [quantised, *constants], [twin], f"{tensor}_DequantizeLinear"),
        ]
        self.pairs[tensor] = twin
        self.before.setdefault(readers[0].name, []).extend(pair)
        for reader in readers:
            for place, name in enumerate(reader.input):
                if name == tensor:
                    reader.input[place] = twin

    def _quantise_weights(self, node: onnx.NodeProto) -> None:
        name = node.input[1]
        weight = numpy_helper.to_array(self.weights[name])
        axis = _output_axis(node)
        quantised, scale = quantise_weight(weight, axis, self._largest(weight))
        constants = [
            self._constant(f"{name}_int8", quantised),
            self._constant(f"{name}_scale", scale),
            self._constant(f"{name}_zero_point", np.zeros(len(scale), np.int8)),
        ]
        twin = f"{node.name}_weight"
        dequantise = helper.make_node("DequantizeLinear", constants, [twin], f"{twin}_DequantizeLinear", axis=axis)
        self.before.setdefault(node.name, []).append(dequantise)
        node.input[1] = twin
        if self.layout == "onnxruntime" and node.op_type == "Conv" and len(node.input) > 2:
            self._quantise_bias(node, scale)

    def _largest(self, weight: NDArray[np.float32]) -> int:
        """The largest step of a weight that no kernel of the layout's libraries overflows with."""
        depthwise = weight.ndim == 4 and weight.shape[1] == 1
        return LARGEST_WEIGHT if self.layout == "tensorrt" or depthwise else LARGEST_IN_PAIRS

    def _quantise_bias(self, node: onnx.NodeProto, weight_scale: NDArray[np.float32]) -> None:
        """To int32 in units of the accumulator, input scale times weight scale."""
        tensor = node.input[0].removesuffix("_dequantised")
        unit = (weight_scale * np.float64(scale_of(*self.ranges[tensor], self.layout).scale)).astype(np.float32)
        bias = numpy_helper.to_array(self.weights[node.input[2]]).astype(np.float64)
        steps = np.clip(np.rint(bias / np.maximum(unit, SMALLEST_SCALE)), -(2**31), 2**31 - 1).astype(np.int32)
        twin = f"{node.name}_bias"
        constants = [
            self._constant(f"{twin}_int32", steps),
            self._constant(f"{twin}_scale", unit),
            self._constant(f"{twin}_zero_point", np.zeros(len(unit), np.int32)),
        ]
        dequantise = helper.make_node("DequantizeLinear", constants, [twin], f"{twin}_DequantizeLinear", axis=0)
        self.before[node.name].append(dequantise)
        node.input[2] = twin

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        if name not in self.weights:
            tensor = numpy_helper.from_array(value, name)
            self.model.graph.initializer.append(tensor)
            self.weights[name] = tensor
        return name


def quantise_weight(
    weight: NDArray[np.float32], axis: int, largest: int = 127
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 up to ``largest`` with one scale for each index along ``axis``; the scales are ``(channels,)``."""
    others = tuple(a for a in range(weight.ndim) if a != axis)
    scale = np.maximum(np.abs(weight).max(others), SMALLEST_SCALE).astype(np.float32) / np.float32(largest)
    shape = [-1 if a == axis else 1 for a in range(weight.ndim)]
    return np.clip(np.rint(weight / scale.reshape(shape)), -largest, largest).astype(np.int8), scale


def _output_axis(node: onnx.NodeProto) -> int:
    if node.op_type == "Conv":
        return 0
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return 0 if transposed else 1
