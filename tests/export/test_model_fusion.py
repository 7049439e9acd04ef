"""What TensorRT-RTX makes of the network that edgeirf really exports: the default preset with random weights."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from edgeirf.calib.fitting.density import Scale
from edgeirf.calib.fitting.gaussian import Gaussian
from edgeirf.errors import BackendError
from edgeirf.export.methods.density import Density
from edgeirf.export.methods.graph import BundleGraph
from edgeirf.export.methods.irf import Irf
from edgeirf.export.onnx.head import DENSITY
from edgeirf.export.onnx.passes.fp16 import to_fp16
from edgeirf.export.onnx.trace import to_onnx
from edgeirf.export.precision.quantisers.quantiser import OwnQuantiser
from edgeirf.runtime.tensorrt import builder, library
from edgeirf.runtime.tensorrt.builder import EngineSpec, build
from edgeirf.runtime.tensorrt.library import Library
from edgeirf.runtime.tensorrt.precision_report import parse_layers
from edgeirf.trainers.features import FeatureExtractor
from edgeirf.trainers.noise_net import PRESETS, NoiseNet
from edgeirf.trainers.pretrained import load_backbone

SIZE = (64, 64)
TARGETS = ("SM86", "SM89", "SM120")


@pytest.fixture(scope="module")
def rtx() -> Library:
    try:
        return library.load("tensorrt_rtx")
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def exported() -> bytes:
    """The FP32 graph; what training starts at zero is made random, or folding would leave nothing to compute."""
    torch.manual_seed(0)
    extractor = FeatureExtractor(load_backbone("lite0"), SIZE)
    net = NoiseNet(PRESETS["small"], extractor.channels, extractor.grid)
    for parameter in net.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    usual = Gaussian(np.zeros(extractor.channels), np.eye(extractor.channels) + 0.01)
    scales = [Scale(1, usual), Scale(2, usual, gain=0.5, power=0.9), Scale(0, usual, gain=0.5, power=0.9)]
    field = Irf(net.eval(), 100, usual)
    return to_onnx(BundleGraph(extractor.eval(), field, Density(scales)), SIZE)


@pytest.fixture(scope="module")
def half(exported: bytes) -> bytes:
    """The FP16 graph that export ships."""
    return to_fp16(exported)


def products(graph: bytes) -> set[str]:
    """Names of the nodes that multiply matrices."""
    nodes = onnx.load_from_string(graph).graph.node
    return {node.name for node in nodes if node.op_type in ("Conv", "MatMul", "Gemm")}


def test_every_product_of_the_fp32_graph_is_accounted_for(rtx: Library, exported: bytes) -> None:
    report = build(rtx, exported, EngineSpec(2, SIZE, TARGETS)).fusion
    assert {product.node for product in report.products} == products(exported)
    assert len([product for product in report.products if product.operation == "convolution"]) == 38
    assert report.outside("Float") == (), report.summary("Float")


@pytest.mark.parametrize("target", TARGETS)
def test_all_of_the_fp16_graph_is_computed_in_half(rtx: Library, half: bytes, target: str) -> None:
    report = build(rtx, half, EngineSpec(2, SIZE, (target,))).fusion
    assert {product.node for product in report.products} == products(half)
    outside = {product.node for product in report.outside("Half")}
    assert outside == {node for node in products(half) if node.startswith(DENSITY)}, report.summary("Half")


@pytest.mark.parametrize("target", TARGETS)
def test_all_of_the_int8_graph_is_computed_in_int8_but_what_is_kept_in_float(
    rtx: Library, exported: bytes, target: str
) -> None:
    batches = list(np.random.default_rng(0).uniform(-1, 1, (4, 1, 3, *SIZE)).astype(np.float32))
    kept = {n for n in products(exported) if "/stem/" in n or "project_out" in n or n.startswith(DENSITY)}
    assert len(kept) == 4
    int8 = OwnQuantiser(exported, batches, "minmax").quantise(exported, "tensorrt", kept)
    report = build(rtx, int8, EngineSpec(2, SIZE, (target,))).fusion
    assert len(report.products) == 47
    assert {product.node for product in report.outside("Int8")} == kept, report.summary("Int8")


def test_the_fp16_engine_takes_what_the_kernel_rounds(
    rtx: Library, half: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixels of four FP16 values go straight into the first convolution: a launch less, and fewer bytes."""
    spec = EngineSpec(1, SIZE, ("SM86",))
    found = build(rtx, half, spec)
    first = parse_layers(rtx.logger.layers)[0]
    monkeypatch.setattr(builder, "half_input", lambda graph: None)
    before = build(rtx, half, spec)
    assert first.kind == "correlation"
    assert found.fusion.layers == before.fusion.layers - 1
    assert found.fusion.traffic < before.fusion.traffic
