"""Executors on the stand-in driver."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import driver_control
import numpy as np
import pytest
from ort_engine import OrtEngine
from pairs import InOrder, MakePair, Pair

from edgeirf.bundle import Bundle
from edgeirf.conformal import Limits
from edgeirf.runtime.executors import golden
from edgeirf.runtime.executors import tensorrt as tensorrt_module
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.cuda_device import CudaDevice
from edgeirf.runtime.executors.gpu.frame_layout import Geometry
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.executors.tensorrt import LoadedGraph, TensorRTNetwork
from edgeirf.runtime.kernels import InputLayout
from edgeirf.settings import Preprocess, Scoring

LIMITS = Limits(threshold=25.0, pixel_threshold=20.0, scores=tuple(float(score) for score in range(2, 40)))


@pytest.fixture(autouse=True)
def clean_driver() -> Iterator[None]:
    """Every test starts with counters at zero and leaves nothing behind."""
    driver_control.reset()
    driver_control.schedule("lazy")
    yield
    driver_control.reset()
    assert driver_control.live() == {}


@pytest.fixture(params=["integrated", "discrete"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A Jetson, whose GPU shares the host's memory, and a desktop GPU."""
    monkeypatch.setenv("STANDIN_INTEGRATED", "1" if request.param == "integrated" else "0")
    return str(request.param)


@pytest.fixture
def discrete(monkeypatch: pytest.MonkeyPatch) -> None:
    """A desktop GPU."""
    monkeypatch.setenv("STANDIN_INTEGRATED", "0")


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes that the host copied for each frame that it copied."""
    found: list[int] = []
    real = Geometry.stage

    def stage(self: Geometry, frame: np.ndarray, view: np.ndarray) -> None:
        found.append(self.nbytes)
        real(self, frame, view)

    monkeypatch.setattr(Geometry, "stage", stage)
    return found


@pytest.fixture
def make_pair(tiny_onnx: bytes) -> Iterator[MakePair]:
    """``make_pair(settings, scoring, limits, **options of GpuExecutor)``; closed after the test."""
    made: list[Pair] = []

    def make(
        settings: Preprocess | None = None,
        scoring: Scoring | None = None,
        limits: Limits = LIMITS,
        auxiliary: bool = False,
        input_layout: InputLayout = "float32",
        **options: Any,
    ) -> Pair:
        settings, scoring = settings or Preprocess(size=(32, 32)), scoring or Scoring(sigma=2.0)
        shape = (settings.tiles[0] * settings.tiles[1], 3, *settings.size)
        engine = OrtEngine(tiny_onnx, shape, auxiliary, input_layout)
        cuda = InOrder(engine, settings, scoring, limits, release=engine.close, **options)
        made.append(Pair(cuda, CpuExecutor(OnnxRuntimeNetwork(tiny_onnx, 1), settings, scoring, limits), engine))
        return made[-1]

    yield make
    for pair in made:
        pair.cuda.close()
        assert pair.engine.closed == 1


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[OrtEngine]:
    """A bundle's graph is opened as an :class:`OrtEngine`, on a real :class:`CudaDevice`: all that were opened."""
    opened: list[OrtEngine] = []

    def load_graph(bundle: Bundle, graphs: object, *_: object) -> LoadedGraph:
        model, settings = bundle.manifest.models["fp32"], bundle.manifest.preprocess
        shape = (settings.tiles[0] * settings.tiles[1], 3, *settings.size)
        opened.append(OrtEngine(bundle.member(model.file), shape))
        network = TensorRTNetwork(opened[-1], CudaDevice())
        golden.check(bundle, model, network)
        return LoadedGraph("fp32", model, network)

    monkeypatch.setattr(tensorrt_module, "load_graph", load_graph)
    return opened


@pytest.fixture(scope="session", autouse=True)
def on_standin() -> None:
    """These tests make no sense anywhere else."""
    assert os.environ.get("EDGEIRF_STANDIN")
