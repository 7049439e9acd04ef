from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeirf import bundle as bundles
from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, UsageError
from edgeirf.export import engines
from edgeirf.gate_report import GateReport
from edgeirf.manifest import parse
from edgeirf.runtime.tensorrt import library
from edgeirf.runtime.tensorrt.library import Library


@pytest.fixture(scope="session")
def rtx() -> Library:
    try:
        return library.load("tensorrt_rtx")
    except BackendError as error:
        pytest.skip(str(error))


def half(graph: bytes) -> bytes:
    """The tiny graph computed in FP16 between two casts."""
    model = onnx.load_from_string(graph)
    pool, conv = model.graph.node
    weight = numpy_helper.to_array(model.graph.initializer[0]).astype("float16")
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "weight"))
    pool.input[0], conv.output[0] = "image16", "field16"
    conv.name = "conv"
    casts = [
        helper.make_node("Cast", ["image"], ["image16"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["field16"], ["field"], to=TensorProto.FLOAT),
    ]
    nodes = [casts[0], pool, conv, casts[1]]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


@pytest.fixture
def mixed(tiny_path: Path, tiny_onnx: bytes, tmp_path: Path) -> Bundle:
    """FP32, FP16, a graph that calls itself INT8 and is not, and one that is for ONNX Runtime alone."""
    plain = Bundle.read(tiny_path)
    fp32 = plain.manifest.models["fp32"]
    models = {
        "fp32": fp32,
        "fp16": replace(fp32, file="model.fp16.onnx", precision="fp16", report=GateReport(golden_tolerance=0.1)),
        "int8-tensorrt": replace(fp32, file="model.fp16.onnx", precision="int8", family="tensorrt"),
        "int8": replace(fp32, file="other.onnx", precision="int8", family="onnxruntime"),
    }
    members = {
        "model.fp32.onnx": tiny_onnx,
        "model.fp16.onnx": half(tiny_onnx),
        "other.onnx": tiny_onnx,
        bundles.GOLDEN: plain.member(bundles.GOLDEN),
    }
    bundles.write(tmp_path / "mixed.irf", replace(plain.manifest, models=models), members)
    return Bundle.read(tmp_path / "mixed.irf")


def test_every_graph_is_built_and_what_fell_back_is_named(rtx: Library, mixed: Bundle) -> None:
    told: list[tuple[str, float]] = []
    built = engines.build_engines(
        mixed, rtx, ("SM86", "SM89"), progress=lambda key: lambda fraction, phase: told.append((key, fraction))
    )
    assert [(engine.key, len(engine.fell_back)) for engine in built] == [("fp16", 0), ("int8-tensorrt", 1), ("fp32", 0)]
    layers, megabytes = built[1].report.layers, built[1].report.traffic_megabytes
    assert 0 < layers < 10
    assert 0 < megabytes < 1
    size = f"{layers} layers, {built[1].built.fusion.traffic / 1e6:.1f} MB between them"
    assert built[1].summary() == f"int8-tensorrt for SM86, SM89: {size}; 0 of 1 in Int8; not: conv (Half)"
    assert built[0].summary() == f"fp16 for SM86, SM89: {size}; 1 of 1 in Half"
    assert engines.likely_faster(built).startswith("int8 is not likely faster than fp16")
    assert engines.likely_faster(built[:1]) == ""
    assert {key for key, _ in told} == {"int8-tensorrt", "fp16", "fp32"}


def test_the_bundle_says_what_was_found(rtx: Library, mixed: Bundle) -> None:
    manifest = mixed.manifest
    for target in ("SM86", "SM120"):
        manifest = engines.with_engines(manifest, engines.build_engines(mixed, rtx, (target,), "fp16"))
    report = parse(manifest.to_json()).models["fp16"].report
    assert report.golden_tolerance == 0.1
    assert [entry.targets for entry in report.engines] == [("SM86",), ("SM120",)]
    assert report.engines[0].counts == {"Half": 1}
    assert report.engines[0].fell_back == ()
    assert not manifest.models["fp32"].report.engines
    assert not mixed.manifest.models["fp16"].report.engines


def test_a_target_rtx_has_not(rtx: Library, mixed: Bundle) -> None:
    with pytest.raises(UsageError, match="cannot build for SM87"):
        engines.build_engines(mixed, rtx, ("SM87",))


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("sm86", ("SM86",)),
        ("SM86, sm_89,sm86", ("SM86", "SM89")),
        ("8.6,12.0", ("SM86", "SM120")),
        ("", None),
        ("ampere", None),
        ("sm86,,sm89", None),
        ("sm8", None),
    ],
)
def test_targets(text: str, targets: tuple[str, ...] | None) -> None:
    if targets is None:
        with pytest.raises(UsageError, match="like sm86,sm89"):
            engines.parse_targets(text)
    else:
        assert engines.parse_targets(text) == targets


def test_a_machine_without_a_gpu_says_what_the_device_will_do(mixed: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise BackendError("pycuda is not installed")

    monkeypatch.setattr(engines, "CudaDevice", missing)
    with pytest.raises(BackendError) as caught:
        engines.build_for_this_gpu(mixed)
    assert engines.outlook(caught.value).startswith(
        "no engine built here (pycuda is not installed); the device builds its own at the first start"
    )
