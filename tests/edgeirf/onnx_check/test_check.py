from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgeirf.errors import BundleError
from edgeirf.onnx_check import check_graph
from edgeirf.onnx_check.call import Call, Known
from edgeirf.onnx_check.graph import parse
from edgeirf.onnx_check.shapes import RULES, infer
from edgeirf.onnx_check.values import follow

SIZE = (64, 64)
Model = onnx.ModelProto


def value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def model(*nodes: onnx.NodeProto, **initializers: np.ndarray) -> Model:
    """Pooled pixels through ``nodes``, which read ``pooled`` (1, 3, 8, 8) and write ``field``."""
    pool = helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8])
    graph = helper.make_graph(
        [pool, *(nodes or [helper.make_node("Relu", ["pooled"], ["field"])])],
        "g",
        [value("image", "n", 3, *SIZE)],
        [value("field", "n", "c", "h", "w")],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def shape(*sides: int) -> np.ndarray:
    return np.array(sides, np.int64)


def refused(data: bytes) -> str:
    with pytest.raises(BundleError) as caught:
        check_graph(data, 1, SIZE)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("not a graph that edgeirf exports: ")
    return str(caught.value)


def test_a_graph_of_the_exporter_passes(tiny_onnx: bytes) -> None:
    assert check_graph(tiny_onnx, 6, SIZE) == (6, 4, 8, 8)
    assert check_graph(model().SerializeToString(), 1, SIZE) == (1, 3, 8, 8)


def external(one: Model) -> None:
    tensor = one.graph.initializer.add(name="w", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="etc/passwd")


def constant_of_file(one: Model) -> None:
    node = one.graph.node.add(op_type="Constant", output=["c"])
    attribute = node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
    attribute.t.external_data.add(key="location", value="/etc/passwd")


def function(one: Model) -> None:
    one.functions.add(name="f", domain="edgeirf")


def twice(one: Model) -> None:
    one.graph.node.append(one.graph.node[0])


def set_to(path: str, new: Any) -> Callable[[Model], None]:
    def change(one: Model) -> None:
        *parents, last = path.split(".")
        node: Any = one
        for name in parents:
            node = node[int(name)] if name.isdecimal() else getattr(node, name)
        setattr(node, last, new)

    return change


CHANGES: dict[str, tuple[Callable[[Model], None], str]] = {
    "external data": (external, "an initializer has field 13"),
    "external data of an attribute": (constant_of_file, "has field 5"),
    "a function": (function, "the model has field 25"),
    "custom domain": (set_to("graph.node.1.domain", "com.microsoft"), "of the domain 'com.microsoft'"),
    "operators of a domain": (set_to("opset_import.0.domain", "ai.onnx.ml"), "the operators of 'ai.onnx.ml'"),
    "another opset": (set_to("opset_import.0.version", 9), "opset 9"),
    "metadata": (lambda one: one.metadata_props.add(key="ort_config", value="{}"), "the model has field 14"),
    "written twice": (twice, "there already"),
    "another input": (set_to("graph.input.0.type.tensor_type.shape.dim.2.dim_value", 32), "its input is"),
    "input of doubles": (set_to("graph.input.0.type.tensor_type.elem_type", 11), "not float32"),
    "two inputs": (lambda one: one.graph.input.append(value("more", 1)), "2 inputs"),
    "an unwritten output": (set_to("graph.output.0.name", "nothing"), "never written"),
    "another output": (set_to("graph.output.0.type.tensor_type.shape.dim.1.dim_value", 5), "its output is"),
    "sparse weights": (lambda one: one.graph.sparse_initializer.add(), "the graph has field 15"),
    "an unknown attribute": (lambda one: one.graph.node[1].attribute.add(name="body", type=2), "the attribute 'body'"),
    "no nodes": (lambda one: one.graph.ClearField("node"), "0 nodes"),
}


@pytest.mark.parametrize("attack", CHANGES)
def test_what_the_exporter_never_writes_is_refused(attack: str) -> None:
    change, message = CHANGES[attack]
    one = model()
    change(one)
    assert message in refused(one.SerializeToString())


@pytest.mark.parametrize(
    "kind", ["Loop", "If", "Scan", "ConstantOfShape", "Range", "RandomNormal", "NonZero", "X" * 999]
)
def test_operators_that_are_not_on_the_list_are_refused(kind: str) -> None:
    assert "which edgeirf never writes" in refused(
        model(helper.make_node(kind, ["pooled"], ["field"])).SerializeToString()
    )


def node(kind: str, *more: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, ["pooled", *more], ["field"], **attributes)


LARGE: dict[str, tuple[Model, str]] = {
    "expand": (model(node("Expand", "s"), s=shape(1 << 20, 3, 8, 8)), "values in memory"),
    "tile": (model(node("Tile", "s"), s=shape(1 << 20, 1 << 8, 1, 1)), "values in memory"),
    "endless": (model(node("Tile", "s"), s=shape(1 << 62, 1, 1, 1)), "empty or endless"),
    "empty": (model(node("Tile", "s"), s=shape(0, 1, 1, 1)), "empty or endless"),
    "resize": (model(node("Resize", "", "s"), s=np.array([1, 1, 1e4, 1e4], np.float32)), "values in memory"),
    "not a number": (model(node("Resize", "", "s"), s=np.array([1, 1, np.nan, 1], np.float32)), "impossible scales"),
    "pad": (model(node("Pad", "s"), s=shape(0, 0, 0, 0, 0, 0, 1 << 30, 0)), "more than 4096"),
    "outer product": (
        model(
            helper.make_node("Reshape", ["pooled", "s"], ["a"]),
            helper.make_node("Tile", ["a", "t"], ["b"]),
            helper.make_node("Transpose", ["b"], ["c"], perm=[0, 1, 3, 2]),
            helper.make_node("Mul", ["b", "c"], ["field"]),
            s=shape(1, 1, 1, 192),
            t=shape(1, 1, 1, 1000),
        ),
        "values in memory",
    ),
    "work": (
        model(
            helper.make_node("Tile", ["pooled", "t"], ["a"]),
            helper.make_node("Transpose", ["a"], ["b"], perm=[0, 1, 3, 2]),
            helper.make_node("MatMul", ["a", "b"], ["c"]),
            *(helper.make_node("MatMul", ["c", "c"], ["d" + "d" * i]) for i in range(60)),
            t=shape(1, 1, 500, 1),
        ),
        "multiplications",
    ),
    "constants that ONNX Runtime computes and keeps": (
        model(
            *(
                one
                for i in range(9)
                for one in (
                    helper.make_node("Expand", ["one", "s"], [f"e{i}"]),
                    helper.make_node("ReduceMean", [f"e{i}"], [f"m{i}"], keepdims=0),
                    helper.make_node("Add", [f"a{i - 1}" if i else "pooled", f"m{i}"], [f"a{i}"]),
                )
            ),
            helper.make_node("Relu", ["a8"], ["field"]),
            one=np.ones(1, np.float32),
            s=shape(1 << 24),
        ),
        "values in memory",
    ),
    "text": (model(node("Cast", to=TensorProto.STRING)), "Cast to an impossible type"),
    "cubic": (model(node("Resize", "", "s", mode="cubic"), s=np.ones(4, np.float32)), "Resize in a way"),
    "slow functions": (
        model(
            helper.make_node("Tile", ["pooled", "t"], ["p0"]),
            *(helper.make_node("Erf", [f"p{i}"], [f"p{i + 1}"]) for i in range(3000)),
            t=shape(1, 1 << 18, 1, 1),
        ),
        "multiplications",
    ),
    "a window": (model(node("AveragePool", kernel_shape=[1 << 20, 8], pads=[1 << 20] * 4)), "more than 4096"),
    "a step of 0": (model(node("AveragePool", kernel_shape=[8, 8], strides=[0, 8])), "impossible"),
    "a computed size": (
        model(
            helper.make_node("Cast", ["pooled"], ["s"], to=7),
            helper.make_node("Expand", ["pooled", "s"], ["field"]),
        ),
        "pixels decide",
    ),
    "a fine field": (model(node("Tile", "s"), s=shape(1, 1, 8, 8)), "too fine"),
    "not a field": (model(node("Reshape", "s"), s=shape(1, -1)), "its output is"),
}


@pytest.mark.parametrize("attack", LARGE)
def test_sizes_have_a_bound(attack: str) -> None:
    one, message = LARGE[attack]
    assert message in refused(one.SerializeToString())


CASES: dict[str, tuple[onnx.NodeProto, dict[str, np.ndarray]]] = {
    **{kind: (node(kind, "b"), {"b": np.ones((3, 1, 8), np.float32)}) for kind in ("Add", "Pow", "Max", "Min", "Div")},
    **{kind: (node(kind), {}) for kind in ("Erf", "Sqrt", "Exp", "Log", "Relu", "Softplus", "Sigmoid", "HardSwish")},
    "Clip": (node("Clip", "a", "b"), {"a": np.float32(0), "b": np.float32(6)}),
    "Conv": (node("Conv", "w", group=3, strides=[2, 1], pads=[1, 0, 2, 1]), {"w": np.ones((6, 1, 3, 2), np.float32)}),
    "AveragePool": (node("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), {}),
    "MaxPool": (node("MaxPool", kernel_shape=[3, 2], pads=[1, 0, 1, 1]), {}),
    "GlobalAveragePool": (node("GlobalAveragePool"), {}),
    "MatMul": (node("MatMul", "w"), {"w": np.ones((8, 5), np.float32)}),
    "Transpose": (node("Transpose", perm=[0, 2, 3, 1]), {}),
    "Concat": (node("Concat", "pooled", axis=-3), {}),
    "Reshape": (node("Reshape", "s"), {"s": shape(0, -1, 4)}),
    "Slice": (node("Slice", "a", "b", "c", "d"), {"a": shape(7), "b": shape(-9), "c": shape(-1), "d": shape(-3)}),
    "Squeeze": (node("Squeeze", "s"), {"s": shape(0)}),
    "Unsqueeze": (node("Unsqueeze", "s"), {"s": shape(-1, 0)}),
    "Gather": (node("Gather", "s", axis=2), {"s": np.array([[0, -1, 3]])}),
    "Pad": (node("Pad", "s"), {"s": shape(0, 1, 2, 3, 0, 0, 1, 0)}),
    "Resize scales": (node("Resize", "", "s", mode="linear"), {"s": np.array([1, 1, 1.7, 2], np.float32)}),
    "Resize sizes": (node("Resize", "", "", "s", mode="nearest"), {"s": shape(1, 3, 17, 5)}),
    "Expand": (node("Expand", "s"), {"s": shape(2, 1, 8, 1)}),
    "Tile": (node("Tile", "s"), {"s": shape(1, 2, 3, 1)}),
    "ReduceSum": (node("ReduceSum", "s", keepdims=0), {"s": shape(1, -1)}),
    "ReduceMax": (node("ReduceMax", axes=[-3]), {}),
    "ReduceMean": (node("ReduceMean", axes=[2, 3], keepdims=0), {}),
    "ReduceSumSquare": (node("ReduceSumSquare", keepdims=1), {}),
    "Softmax": (node("Softmax", axis=1), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_shapes_are_those_that_onnx_runtime_finds(case: str) -> None:
    one = model(CASES[case][0], **CASES[case][1])
    one.graph.output[0].type.tensor_type.ClearField("shape")
    session = onnxruntime.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": np.ones((1, 3, *SIZE), np.float32)})
    graph = parse(one.SerializeToString())
    known = {"pooled": Known((1, 3, 8, 8)), **{tensor.name: Known.of(tensor) for tensor in graph.tensors}}
    last = graph.nodes[-1]
    assert infer(Call(last, [known.get(name) for name in last.inputs])) == [found.shape]


def test_sizes_that_follow_from_shapes_are_known() -> None:
    one = model(
        helper.make_node("Shape", ["pooled"], ["sides"]),
        helper.make_node("Gather", ["sides", "two"], ["side"], axis=0),
        helper.make_node("Slice", ["sides", "zero", "two_"], ["front"]),
        helper.make_node("Div", ["side", "two"], ["half"]),
        helper.make_node("Mul", ["half", "half"], ["area"]),
        helper.make_node("Unsqueeze", ["area", "zero"], ["areas"]),
        helper.make_node("Concat", ["front", "areas", "four"], ["target"], axis=0),
        helper.make_node("Reshape", ["pooled", "target"], ["field"]),
        two=np.array(2),
        two_=shape(2),
        zero=shape(0),
        four=shape(4),
    )
    assert check_graph(one.SerializeToString(), 1, SIZE) == (1, 3, 16, 4)


def test_every_operator_has_a_rule_that_needs_an_input() -> None:
    for kind in RULES:
        with pytest.raises(ValueError, match=r"lacks|impossible|Slice|Pad|Squeeze|Gather|kernel|window|pictures"):
            infer(Call(parse(model(helper.make_node(kind, [], ["x"])).SerializeToString()).nodes[1], []))
    assert follow(Call(parse(model().SerializeToString()).nodes[1], [Known((1,))]), [(1,)]) is None


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_the_bytes_are_there_is_one_line_or_a_field(data: st.DataObject) -> None:
    whole = bytearray(LARGE["outer product"][0].SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        field = check_graph(bytes(whole), 1, SIZE)
    except BundleError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert len(field) == 4


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_no_graph(data: bytes) -> None:
    refused(data)
