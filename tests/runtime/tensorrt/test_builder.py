from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from edgeirf.errors import BackendError, UsageError
from edgeirf.runtime.tensorrt.builder import EngineSpec, available_targets, build
from edgeirf.runtime.tensorrt.library import Library

SPEC = EngineSpec(batch=2, size=(64, 64))


def one_node(operator: str, domain: str = "", image: str = "image", field: str = "field") -> bytes:
    """A graph of one node from ``image`` to ``field``."""
    node = helper.make_node(operator, [image], [field], name="only", domain=domain)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 64, 64]) for name in (image, field)]
    graph = helper.make_graph([node], "graph", [values[0]], [values[1]])
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model: Any = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def test_a_build_gives_a_plan_and_tells_how_far_it_is(rtx: Library, conv_graph: Callable[..., bytes]) -> None:
    told: list[tuple[float, str]] = []
    built = build(rtx, conv_graph("fp16"), SPEC, progress=lambda fraction, phase: told.append((fraction, phase)))
    fractions = [fraction for fraction, _ in told]
    assert len(built.plan) > 10_000
    assert built.seconds > 0
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.2
    assert fractions[-1] == 1.0
    assert len({phase for _, phase in told}) > 3


def test_the_batch_may_be_fixed_in_the_graph(rtx: Library, conv_graph: Callable[..., bytes]) -> None:
    assert build(rtx, conv_graph("fp32", batch=2), SPEC).plan
    with pytest.raises(BackendError, match=r"the graph takes \(2, 3, 64, 64\), not \(3, 3, 64, 64\)"):
        build(rtx, conv_graph("fp32", batch=2), EngineSpec(3, (64, 64)))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (b"not ONNX", "Failed to parse the ONNX model"),
        (b"", "the graph maps [] to []"),
        (one_node("Frobnicate", "com.example"), "Frobnicate node 'only'"),
        (one_node("Relu", image="picture"), "maps ['picture'] to ['field'], not 'image' to 'field'"),
        (one_node("Relu", field="logits"), "maps ['image'] to ['logits']"),
    ],
)
def test_what_is_wrong_with_a_graph_is_one_line(rtx: Library, graph: bytes, message: str) -> None:
    with pytest.raises(BackendError) as caught:
        build(rtx, graph, SPEC)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("targets", "message"),
    [(("SM87",), "cannot build for SM87, only for SM75, "), (("SM86", "sm89"), "cannot build for sm89")],
)
def test_targets_rtx_does_not_know(
    rtx: Library, conv_graph: Callable[..., bytes], targets: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        build(rtx, conv_graph("fp16"), EngineSpec(2, (64, 64), targets))


def test_one_engine_for_several_targets(rtx: Library, conv_graph: Callable[..., bytes]) -> None:
    assert {"SM86", "SM89", "SM120"} <= set(available_targets(rtx))
    both = build(rtx, conv_graph("fp16"), EngineSpec(2, (64, 64), ("SM86", "SM120")))
    assert both.fusion.targets == ("SM86", "SM120")


def test_what_tensorrt_cannot_build_is_said_in_its_own_words(rtx: Library, conv_graph: Callable[..., bytes]) -> None:
    # Turing has no FP32 matrix product in TensorRT-RTX.
    with pytest.raises(BackendError, match=r"cannot build the engine: .*FP32 GEMM is not supported"):
        build(rtx, conv_graph("fp32"), EngineSpec(2, (64, 64), ("SM75",)))
    assert build(rtx, conv_graph("fp16"), SPEC).plan  # one failed build spoils nothing


def test_ctrl_c_ends_a_build_without_ending_the_process(rtx: Library, conv_graph: Callable[..., bytes]) -> None:
    told: list[float] = []

    def press(fraction: float, phase: str) -> None:
        told.append(fraction)
        if fraction > 0.2:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        build(rtx, conv_graph("fp16"), SPEC, progress=press)
    assert told[-1] < 1.0
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_error_in_the_progress_bar_is_raised_after_the_build(rtx: Library, conv_graph: Callable[..., bytes]) -> None:
    def broken(fraction: float, phase: str) -> None:
        raise ValueError(f"at {phase}")

    with pytest.raises(ValueError, match="at Building engine"):
        build(rtx, conv_graph("fp16"), SPEC, progress=broken)


@pytest.mark.filterwarnings("ignore:.*no-ops in TensorRT-RTX:DeprecationWarning")
def test_the_way_a_timing_cache_takes_in_tensorrt(rtx: Library, conv_graph: Callable[..., bytes]) -> None:
    # RTX still has the calls, though they do nothing there: enough to walk the path of the other flavour.
    named_otherwise = replace(rtx, flavour="tensorrt")
    first = build(named_otherwise, conv_graph("fp16"), SPEC)
    assert first.timing
    for timing in (first.timing, b"not a timing cache", b""):
        assert build(named_otherwise, conv_graph("fp16"), SPEC, timing=timing).timing
    assert build(rtx, conv_graph("fp16"), SPEC).timing == b""
