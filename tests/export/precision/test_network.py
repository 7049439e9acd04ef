from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from edgeirf.export.onnx.passes.fp16 import to_fp16
from edgeirf.export.precision.network import faithful
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork


def squares_and_roots() -> bytes:
    """A graph that FP32 computes and FP16 cannot: 1000 squared is beyond 65504."""
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 3, 2, 2)) for n in ("image", "field")]
    nodes = [helper.make_node("Mul", ["image"] * 2, ["big"], "square"), helper.make_node("Sqrt", ["big"], ["field"])]
    graph = helper.make_graph(nodes, "squares", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def test_a_graph_that_fp16_cannot_compute_is_seen_to_fail() -> None:
    """ONNX Runtime alone gives 1000, and the gate passed it."""
    image = np.full((1, 3, 2, 2), 1000, np.float32)
    graph = to_fp16(squares_and_roots())
    assert np.isfinite(OnnxRuntimeNetwork(graph, 1).run(image)).all()
    assert np.isinf(faithful(graph, "fp16", "any").run(image)).all()
    assert (faithful(squares_and_roots(), "fp32", "any").run(image) == 1000).all()
