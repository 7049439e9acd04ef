"""FP16's rounding and range, against NumPy's float16."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper

from edgeirf.export.onnx.passes.fp16 import to_fp16
from edgeirf.export.onnx.passes.half_arithmetic import with_half_arithmetic
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork

SHAPE = (1, 3, 2, 2)


def graph_of(*nodes: onnx.NodeProto, constants: dict[str, np.ndarray] | None = None) -> bytes:
    """FP16 from ``h``, which is the image, to ``f``, which becomes the field."""
    ends = [
        helper.make_node("Cast", ["image"], ["h"], "first", to=TensorProto.FLOAT16),
        *nodes,
        helper.make_node("Cast", ["f"], ["field"], "last", to=TensorProto.FLOAT),
    ]
    image, field = (helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in ("image", "field"))
    weights = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(ends, "half", [image], [field], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def run(graph: bytes, value: np.ndarray) -> np.ndarray:
    return OnnxRuntimeNetwork(graph, threads=1).run(value)


def everywhere(value: float) -> np.ndarray:
    return np.full(SHAPE, value, np.float32)


@pytest.mark.parametrize(
    ("value", "product"),
    [
        (1000.0, np.inf),  # ONNX Runtime says 1e6
        (-300.0, np.inf),
        (255.0, 65024.0),  # 65025 has 17 bits
        (2.0**-13, 0.0),  # 2**-26 is less than half of the smallest number
        (2.0**-12, 2.0**-24),  # the smallest number
        (1 + 2.0**-10, 1 + 2.0**-9),
        (1 + 2.0**-12, 1.0),  # the image itself is rounded
    ],
)
def test_products_have_the_range_and_the_bits_of_fp16(value: float, product: float) -> None:
    square = graph_of(helper.make_node("Mul", ["h", "h"], ["f"], "square"))
    assert run(with_half_arithmetic(square), everywhere(value)) == pytest.approx(everywhere(product), rel=0, abs=0)


def test_onnx_runtime_alone_does_not_overflow() -> None:
    """What the gate believed before; when this fails, ONNX Runtime computes FP16 itself."""
    square = graph_of(helper.make_node("Mul", ["h", "h"], ["big"], "square"), helper.make_node("Sqrt", ["big"], ["f"]))
    assert run(square, everywhere(1000)).max() == 1000
    assert run(with_half_arithmetic(square), everywhere(1000)).max() == np.inf


@settings(max_examples=30, deadline=None)
@given(arrays(np.float32, SHAPE, elements=st.floats(-70000, 70000, width=32)))
def test_every_tensor_between_two_operators_is_rounded(image: np.ndarray) -> None:
    nodes = (
        helper.make_node("Mul", ["h", "third"], ["a"], "a"),
        helper.make_node("Add", ["a", "h"], ["b"], "b"),
        helper.make_node("Neg", ["b"], ["c"], "c"),
        helper.make_node("Div", ["c", "third"], ["f"], "d"),
    )
    third = np.array(1 / 3, np.float16)
    graph = with_half_arithmetic(graph_of(*nodes, constants={"third": third}))
    with np.errstate(over="ignore"):
        half = image.astype(np.float16)
        expected = (-(half * third + half) / third).astype(np.float32)
    np.testing.assert_array_equal(run(graph, image), expected)


def test_islands_in_float32_stay_exact() -> None:
    """As the density: sums of squares beyond 65504 are right there."""
    nodes = (
        helper.make_node("Cast", ["h"], ["wide"], "widen", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["wide", "wide"], ["big"], "square"),
        helper.make_node("Sqrt", ["big"], ["root"], "root"),
        helper.make_node("Cast", ["root"], ["f"], "narrow", to=TensorProto.FLOAT16),
    )
    assert run(with_half_arithmetic(graph_of(*nodes)), everywhere(1000)).max() == 1000


def test_an_exported_graph_has_nothing_of_fp16_but_the_rounding(tiny_onnx: bytes) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(with_half_arithmetic(to_fp16(tiny_onnx))))
    assert {weight.data_type for weight in model.graph.initializer} == {TensorProto.FLOAT}
    half = [i.name for i in model.graph.value_info if i.type.tensor_type.elem_type == TensorProto.FLOAT16]
    readers = {node.op_type for node in model.graph.node if set(node.input) & set(half)}
    assert readers == {"Cast"}
    batch = np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32)
    full, rounded = run(tiny_onnx, batch), run(with_half_arithmetic(to_fp16(tiny_onnx)), batch)
    np.testing.assert_array_equal(rounded, rounded.astype(np.float16))
    np.testing.assert_allclose(rounded, full, rtol=0, atol=4e-3 * np.abs(full).max())
