from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from edgeirf.calib.fitting.ranges import value_range
from edgeirf.export.onnx.head import head_products
from edgeirf.export.onnx.passes.fp16 import to_fp16
from edgeirf.export.onnx.products import layer_of, product_names
from edgeirf.export.onnx.trace import to_onnx
from edgeirf.export.precision.quantisers.observe import observe
from edgeirf.export.precision.quantisers.own import Layout, quantise_weight, scale_of, to_int8
from edgeirf.export.precision.sensitivity import sensitivities, without_gaps, worst_layers
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork

LAYOUTS: tuple[Layout, ...] = ("tensorrt", "onnxruntime")


class Small(nn.Module):
    """The shapes of the real graph: convolutions with ReLU6, a shortcut, channels last, a norm, two summed heads."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.project = nn.Conv2d(8, 8, 1)
        self.mlp = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8))
        self.out = nn.Linear(8, 6)
        self.linear = nn.Linear(8, 6)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = nn.functional.relu6(self.stem(image))
        x = self.project(nn.functional.relu6(self.depthwise(x)))
        x = x + self.project(x)
        z = x.permute(0, 2, 3, 1)
        y = z + self.mlp(nn.functional.layer_norm(z, (8,)))
        return (self.out(nn.functional.layer_norm(y, (8,))) + self.linear(z)).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def graph() -> bytes:
    torch.manual_seed(0)
    return to_onnx(Small(), (32, 32))


@pytest.fixture(scope="module")
def batches() -> list[NDArray[np.float32]]:
    return list(np.random.default_rng(0).normal(size=(6, 1, 3, 32, 32)).astype(np.float32))


@pytest.fixture(scope="module")
def ranges(graph: bytes, batches: list[NDArray[np.float32]]) -> dict[str, tuple[float, float]]:
    return {name: value_range(found, "minmax") for name, found in observe(graph, batches).items()}


def error(graph: bytes, other: bytes, batches: list[NDArray[np.float32]], **options: bool) -> float:
    first, second = OnnxRuntimeNetwork(graph, 1), OnnxRuntimeNetwork(other, 1, **options)
    fields = [(first.run(batch), second.run(batch)) for batch in batches]
    return float(np.mean([np.abs(a - b).mean() / np.abs(a).mean() for a, b in fields]))


# TensorRT's layout is never run by ONNX Runtime's INT8 kernels, only simulated.
@pytest.mark.parametrize(("layout", "fuse"), [("tensorrt", False), ("onnxruntime", True), ("onnxruntime", False)])
def test_int8_is_close_whether_fused_or_not(graph, batches, ranges, layout: Layout, fuse: bool) -> None:
    quantised = to_int8(graph, ranges, layout)
    assert 1e-4 < error(graph, quantised, batches, fuse_int8=fuse) < 0.04
    stored = [i for i in onnx.load_from_string(quantised).graph.initializer if i.name.endswith("_int8")]
    assert len({i.name for i in stored}) == 7  # `project` is used twice, its weight stored once
    assert all(i.data_type == onnx.TensorProto.INT8 for i in stored)


def test_tensorrt_gets_scalar_scales_and_floating_biases(graph, ranges) -> None:
    model = onnx.load_from_string(to_int8(graph, ranges, "tensorrt"))
    tensors = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            scale, zero = (tensors[name] for name in node.input[1:])
            assert scale.shape == zero.shape == ()
            assert (zero, zero.dtype) == (0, np.int8)
        if node.op_type in ("Conv", "MatMul"):
            assert all(name.endswith(("_dequantised", "_weight")) for name in node.input[:2])
            assert all(tensors[name].dtype == np.float32 for name in node.input[2:])
    assert not any(value.dtype == np.int32 for value in tensors.values())


def test_onnx_runtime_fuses_every_convolution(graph, ranges, tmp_path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(to_int8(graph, ranges, "onnxruntime"), options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node)
    assert kinds["QLinearConv"] == 4
    assert kinds["MatMulIntegerToFloat"] == 4
    assert kinds["QLinearAdd"] == 1
    assert not {"Conv", "MatMul", "FusedConv", "FusedMatMul", "Clip"} & set(kinds)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layers_that_are_kept_do_not_change(graph, batches, ranges, layout: Layout) -> None:
    names = product_names(onnx.load_from_string(graph))
    assert error(graph, to_int8(graph, ranges, layout, keep=frozenset(names)), batches) < 1e-6
    keep = frozenset(names) - {"/mlp/mlp.0/MatMul"}
    model = onnx.load_from_string(to_int8(graph, ranges, layout, keep=keep))
    assert [i.name for i in model.graph.initializer if i.data_type == onnx.TensorProto.INT8 and i.dims] != []
    assert Counter(node.op_type for node in model.graph.node)["QuantizeLinear"] == 1


def test_scales() -> None:
    assert scale_of(-2.0, 1.0, "tensorrt").scale == pytest.approx(2 / 127)
    assert scale_of(0.0, 6.0, "onnxruntime").zero_point == 0
    found = scale_of(-1.0, 3.0, "onnxruntime")
    assert (found.scale, found.zero_point) == (pytest.approx(4 / 255), 64)
    assert scale_of(0.0, 0.0, "onnxruntime").scale > 0
    assert scale_of(1.0, 3.0, "onnxruntime").zero_point == 0  # 0 is exact: padding is 0


def test_weights_have_a_scale_each_output() -> None:
    weight = np.random.default_rng(0).normal(size=(4, 5, 3, 3)).astype(np.float32) * np.array([1, 10, 0.1, 0])[
        :, None, None, None
    ].astype(np.float32)
    quantised, scale = quantise_weight(weight, 0)
    assert np.abs(quantised[:3]).max((1, 2, 3)).tolist() == [127] * 3
    assert np.abs(quantised * scale[:, None, None, None] - weight).max() <= scale.max() / 2 + 1e-7


def test_the_worst_layers_stay_in_float(graph, batches, ranges) -> None:
    wrecked = {**ranges, "/mlp/mlp.1/Mul_1_output_0": (0.0, 1e4)}  # the second linear layer of the MLP sees only zeros
    found = sensitivities(graph, wrecked, batches[:2])
    assert layer_of(next(iter(found))) == "mlp.2"
    assert list(found.values()) == sorted(found.values(), reverse=True)


@pytest.mark.parametrize(("budget", "kept"), [(1.0, []), (0.2, ["a"]), (0.05, ["a", "b"]), (0.0, ["a", "b", "c"])])
def test_as_few_as_the_budget_allows(budget: float, kept: list[str]) -> None:
    assert worst_layers({"a": 0.5, "b": 0.1, "c": 0.04, "d": 0.0}, budget) == kept


def test_no_layer_is_int8_between_two_float_ones() -> None:
    assert without_gaps("abcdefgh", ["c", "e"]) == ["a", "b", "c", "d", "e"]
    assert without_gaps("abcdefgh", ["h"]) == ["a", "h"]


def test_the_heads_are_found(graph) -> None:
    assert sorted(head_products(onnx.load_from_string(graph))) == ["/linear/MatMul", "/out/MatMul"]


def test_fp16_has_float_ends_and_float_norms(graph, batches) -> None:
    half = to_fp16(graph)
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(half))
    kinds = {i.name: i.type.tensor_type.elem_type for i in model.graph.value_info}
    assert {i.type.tensor_type.elem_type for i in (*model.graph.input, *model.graph.output)} == {onnx.TensorProto.FLOAT}
    for node in model.graph.node:
        wanted = onnx.TensorProto.FLOAT if node.op_type == "LayerNormalization" else onnx.TensorProto.FLOAT16
        if node.op_type in ("Conv", "MatMul", "LayerNormalization"):
            assert kinds[node.input[0]] == wanted, node.name
    weights = {i.name: i.data_type for i in model.graph.initializer if len(i.dims) > 1}
    assert set(weights.values()) == {onnx.TensorProto.FLOAT16}
    assert 0 < error(graph, half, batches) < 0.01


@pytest.mark.parametrize(
    ("node", "layer"),
    [
        ("/extractor/backbone/stages.0/stages.0.0/depthwise/Conv", "backbone.stages.0.0.depthwise"),
        ("/noise/blocks.0/mlp/mlp.2/MatMul", "noise.blocks.0.mlp.2"),
        ("/noise/linear/MatMul", "noise.linear"),
        ("odd", "odd"),
    ],
)
def test_layer_names(node: str, layer: str) -> None:
    assert layer_of(node) == layer


def test_no_pair_of_products_overflows_16_bits(graph, ranges) -> None:
    model = onnx.load_from_string(to_int8(graph, ranges, "onnxruntime"))
    stored = [numpy_helper.to_array(i).astype(int) for i in model.graph.initializer if i.name.endswith("_int8")]
    depthwise = [weight for weight in stored if weight.ndim == 4 and weight.shape[1] == 1]
    assert max(np.abs(weight).max() for weight in depthwise) == 127
    dense = [weight for weight in stored if weight.ndim != 4 or weight.shape[1] > 1]
    assert max(np.abs(weight).max() for weight in dense) == 64
    assert 2 * 255 * 64 < 2**15
