"""The input of the FP16 graph is declared FP16 where nothing but the cast to FP16 reads it."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from onnx import TensorProto, helper

from edgeirf.errors import BackendError
from edgeirf.runtime.tensorrt import builder
from edgeirf.runtime.tensorrt.builder import EngineSpec, build
from edgeirf.runtime.tensorrt.half_input import half_input
from edgeirf.runtime.tensorrt.library import Library

MakeGraph = Callable[..., bytes]


def test_one_byte_is_changed(conv_graph: MakeGraph) -> None:
    graph = conv_graph("fp16")
    changed = half_input(graph)
    assert changed is not None
    assert [(old, new) for old, new in zip(graph, changed, strict=True) if old != new] == [(1, 10)]
    model = onnx.load_from_string(changed)
    onnx.checker.check_model(model, full_check=True)
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT16


def read_twice(graph: bytes) -> bytes:
    """A second node reads the input as it is."""
    model = onnx.load_from_string(graph)
    model.graph.node.append(helper.make_node("Identity", ["image"], ["unread"], name="second"))
    return model.SerializeToString()


def cast_to(graph: bytes, element: int) -> bytes:
    model = onnx.load_from_string(graph)
    model.graph.node[0].attribute[0].i = element
    return model.SerializeToString()


def test_other_graphs_stay_as_they_are(conv_graph: MakeGraph) -> None:
    half = conv_graph("fp16")
    others = [conv_graph("fp32"), conv_graph("int8"), read_twice(half), cast_to(half, TensorProto.INT8), b"no graph"]
    assert [half_input(graph) for graph in others] == [None] * len(others)


def test_where_tensorrt_refuses_an_fp16_input_the_graph_is_built_as_it_is(
    rtx: Library, conv_graph: MakeGraph, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, tried = builder._fix_input, []

    def fix_input(library: Library, make: object, network: object, *rest: object) -> None:
        tried.append(str(network.get_input(0).dtype))
        if len(tried) == 1:
            raise BackendError("no such format")
        real(library, make, network, *rest)

    monkeypatch.setattr(builder, "_fix_input", fix_input)
    with caplog.at_level("INFO", "edgeirf"):
        assert build(rtx, conv_graph("fp16"), EngineSpec(1, (64, 64))).plan
    assert tried == ["DataType.HALF", "DataType.FLOAT"]
    assert "no such format" in caplog.text
