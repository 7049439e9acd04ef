from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from edgeirf.export.onnx.passes.fp16 import to_fp16
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork


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
