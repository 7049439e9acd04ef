from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import TensorProto
from torch import nn

from edgeirf.calib.fitting.density import Scale
from edgeirf.calib.fitting.gaussian import Gaussian
from edgeirf.export.methods.density import Density
from edgeirf.export.onnx.passes.fp16 import to_fp16
from edgeirf.export.onnx.trace import to_onnx
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork


class Tail(nn.Module):
    """A convolution, then the density of its field."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.field = nn.Conv2d(3, 6, 4, stride=4)
        unit = Gaussian(np.zeros(6), np.eye(6))
        self.density = Density([Scale(1, unit), Scale(2, unit, power=0.9), Scale(0, unit), Scale(-1, unit, base=unit)])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.density(self.field(image))


def test_the_density_stays_in_float32_from_end_to_end() -> None:
    graph = to_onnx(Tail(), (32, 32))
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(to_fp16(graph)))
    kinds = {i.name: i.type.tensor_type.elem_type for i in (*model.graph.value_info, *model.graph.output)}
    inside = {name for node in model.graph.node if node.name.startswith("/density/") for name in node.output}
    assert inside
    assert {kinds[name] for name in inside} == {onnx.TensorProto.FLOAT}
    weights = {i.name: i.data_type for i in model.graph.initializer}
    assert weights["field.weight"] == onnx.TensorProto.FLOAT16


def test_sums_of_squares_beyond_fp16_are_right() -> None:
    graph = to_onnx(Tail(), (32, 32))
    image = np.full((1, 3, 32, 32), 300, np.float32)
    plain, half = OnnxRuntimeNetwork(graph, 1).run(image), OnnxRuntimeNetwork(to_fp16(graph), 1).run(image)
    assert np.square(plain).sum(1).max() > 65504
    assert np.allclose(half, plain, rtol=0.01)


def test_no_cast_is_left_that_nobody_reads() -> None:
    model = onnx.load_from_string(to_fp16(to_onnx(Tail(), (32, 32))))
    read = {name for node in model.graph.node for name in node.input} | {o.name for o in model.graph.output}
    assert all(node.output[0] in read for node in model.graph.node)


def test_weights_are_half_and_the_ends_stay_float(tiny_onnx: bytes) -> None:
    model = onnx.load_from_string(to_fp16(tiny_onnx))
    onnx.checker.check_model(model)
    assert {one.data_type for one in model.graph.initializer if one.name.startswith("weight")} == {TensorProto.FLOAT16}
    ends = [*model.graph.input, *model.graph.output]
    assert {end.type.tensor_type.elem_type for end in ends} == {TensorProto.FLOAT}


def test_the_field_stays_within_the_precision_of_half(tiny_onnx: bytes) -> None:
    batch = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
    full = OnnxRuntimeNetwork(tiny_onnx, threads=1).run(batch)
    half = OnnxRuntimeNetwork(to_fp16(tiny_onnx), threads=1).run(batch)
    assert np.abs(full - half).max() < 2e-3 * np.abs(full).max()
    assert not np.array_equal(full, half)
