"""Every precision of a real, short training: the same verdicts on the GPU's path as on the host's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from ort_engine import OrtEngine

import edgeirf
from edgeirf.bundle import Bundle
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.executors import tensorrt as tensorrt_module
from edgeirf.runtime.executors.base import inspect
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.cuda_device import CudaDevice
from edgeirf.runtime.executors.gpu.executor import GpuExecutor
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.executors.select import Request, Selection
from edgeirf.runtime.executors.tensorrt import LoadedGraph, TensorRTNetwork

torch = pytest.importorskip("torch", reason="training needs torch")

MODELS = ("fp32", "fp16", "int8", "int8-tensorrt")
EXACT = 1e-3
"""Share of the score. The network's input is the host's bit for bit, so what differs is the order of float32 sums."""


def part(seed: int, size: tuple[int, int]) -> np.ndarray:
    """A disc on a dark ground; every third one has a scratch."""
    rng = np.random.default_rng(seed)
    height, width = size
    image = rng.integers(40, 60, (height, width, 3), dtype=np.uint8)
    centre = tuple(int(side / 2 + offset) for side, offset in zip((width, height), rng.integers(-3, 4, 2), strict=True))
    cv2.circle(image, centre, min(size) // 3, (200, 120, 60), -1)
    if seed % 3 == 2:
        cv2.line(image, (width // 3, height // 2), (width // 2, height // 2), (255, 255, 255), 3)
    return image


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with every precision, trained for a moment at 64 pixels."""
    from edgeirf.export.bundle import Options, export
    from edgeirf.trainers.prepare import Recipe, prepare_run
    from edgeirf.trainers.train import train

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("precisions")
    (folder / "parts").mkdir()
    for index in range(40):
        cv2.imwrite(str(folder / "parts" / f"{index}.png"), part(3 * index, (80, 80)))
    run, _ = prepare_run(folder / "parts", folder / "run", Recipe("nano", size=(64, 64), steps=20, batch=32))
    assert train(run, device="cpu")
    export(run, folder / "m.irf", Options(precisions=("fp32", "fp16", "int8"), keep_refused=True))
    return folder / "m.irf"


class RoundedInput(OnnxRuntimeNetwork):
    """ONNX Runtime leaves out the cast of the input to FP16 and back; TensorRT does not."""

    def run(self, batch: np.ndarray) -> np.ndarray:
        return super().run(batch.astype(np.float16).astype(np.float32))


@pytest.fixture(params=MODELS)
def key(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pair(exported: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Detector, Detector]]:
    """The same graph behind ``edgeirf.load`` on the stand-in GPU, and on the host."""
    bundle = Bundle.read(exported)
    model = bundle.manifest.models[key]
    graph = bundle.member(model.file)
    # TensorRT's FP16 engine reads what the kernel has rounded.
    engine = OrtEngine(graph, (1, 3, 64, 64), input_layout="float16x4" if key == "fp16" else "float32")
    monkeypatch.setattr(
        tensorrt_module, "load_graph", lambda *_: LoadedGraph(key, model, TensorRTNetwork(engine, CudaDevice()))
    )
    request = Request(bundle.manifest.products[0], bundle.manifest.false_reject_rate)
    network = (RoundedInput if key == "fp16" else OnnxRuntimeNetwork)(graph, threads=1)
    host = CpuExecutor(network, bundle.manifest.preprocess, model.scoring, request.limits(model))
    with (
        edgeirf.load(exported, "tensorrt") as gpu,
        Detector(bundle, Selection("cpu", key, model, host), request) as cpu,
    ):
        assert isinstance(gpu.executor, GpuExecutor)
        assert isinstance(cpu.executor, CpuExecutor)
        gpu.contract = cpu.contract = None  # as a model of pictures of several sizes: it takes every frame
        yield gpu, cpu
    assert engine.closed == 1


@pytest.mark.parametrize("size", [(80, 80), (64, 64), (128, 128), (97, 133), (96, 128), (480, 320), (50, 45)])
def test_verdicts_are_the_same(
    size: tuple[int, int], pair: tuple[Detector, Detector], discrete: None, key: str
) -> None:
    if key != "fp32" and size not in ((80, 80), (97, 133)):
        pytest.skip("the frame becomes pixels of the network's size before a precision matters")
    gpu, cpu = pair
    rejects = []
    for seed in range(6 if size == (80, 80) else 3):
        frame = part(seed, size)
        found, expected = gpu(frame), cpu(frame)
        assert found.score == pytest.approx(expected.score, rel=EXACT)
        assert (found.reject, found.p_value) == (expected.reject, expected.p_value)
        assert [vars(r) | {"peak": 0} for r in found.regions] == [vars(r) | {"peak": 0} for r in expected.regions]
        np.testing.assert_allclose(found.map(), expected.map(), rtol=EXACT, atol=EXACT * cpu.pixel_threshold)
        rejects.append(found.reject)
    if size == (80, 80):  # as in training
        assert rejects == [False, False, True] * 2


def test_the_gpu_s_int8_layout_judges_as_the_cpu_s(exported: Path, pair: tuple[Detector, Detector], key: str) -> None:
    """Other quantised layers, other calibration; the same verdict on parts that are clearly good or bad."""
    gpu, _ = pair
    if key != "int8-tensorrt":
        pytest.skip("about the INT8 layout for TensorRT")
    bundle = Bundle.read(exported)
    model = bundle.manifest.models["int8"]
    limits = model.calibration[gpu.product].limits(bundle.manifest.false_reject_rate)
    network = OnnxRuntimeNetwork(bundle.member(model.file), threads=1)
    cpu = CpuExecutor(network, bundle.manifest.preprocess, model.scoring, limits)
    for seed in range(9):
        frame = part(seed, (80, 80))
        assert gpu(frame).reject == inspect(cpu, frame).reject == (seed % 3 == 2)
