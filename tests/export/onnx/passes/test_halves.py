from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgeirf.export.onnx.passes.halves import LEAST, stored_in_half

SHAPE = (2, 256, 256)


def graph_with(weights: np.ndarray) -> bytes:
    node = helper.make_node("MatMul", ["x", "/density/weights"], ["y"], name="/density/MatMul")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 1, 256])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 1, 256])
    graph = helper.make_graph([node], "g", [x], [y], [numpy_helper.from_array(weights, "/density/weights")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def run(graph: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


def test_what_half_holds_exactly_takes_half_of_the_file_and_computes_the_same() -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=SHAPE).astype(np.float16).astype(np.float32)
    before = graph_with(weights)
    after = stored_in_half(before)
    onnx.checker.check_model(onnx.load_from_string(after), full_check=True)
    assert weights.size >= LEAST
    assert len(after) < 0.51 * len(before)
    x = rng.normal(size=(2, 1, 256)).astype(np.float32)
    assert np.array_equal(run(after, x), run(before, x))


def test_what_half_would_round_or_overflow_stays() -> None:
    rng = np.random.default_rng(0)
    exact = rng.normal(size=SHAPE).astype(np.float16).astype(np.float32)
    for odd in (np.float32(0.1), np.float32(1e6), np.float32(1e-9)):
        weights = exact.copy()
        weights[1, 2, 3] = odd
        assert stored_in_half(graph_with(weights)) == graph_with(weights)
