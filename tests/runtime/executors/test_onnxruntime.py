"""ONNX Runtime as the network: what it cannot do is one clear line."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from edgeirf.errors import BackendError
from edgeirf.runtime.executors import onnxruntime as module
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork, default_threads


def test_a_batch_goes_in_and_a_field_comes_out(tiny_onnx: bytes) -> None:
    network = OnnxRuntimeNetwork(tiny_onnx, threads=1)
    assert network.run(np.zeros((2, 3, 64, 64), np.float32)).shape == (2, 4, 8, 8)
    with pytest.raises(BackendError) as raised:
        network.run(np.zeros((2, 4, 64, 64), np.float32))
    assert str(raised.value).startswith("ONNX Runtime failed: ")
    assert "\n" not in str(raised.value)
    network.close()
    network.close()


def test_a_graph_that_is_none() -> None:
    with pytest.raises(BackendError, match="ONNX Runtime refuses the graph"):
        OnnxRuntimeNetwork(b"not a graph")


def test_cuda_without_onnxruntime_gpu(tiny_onnx: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(BackendError, match="no CUDAExecutionProvider: pip install onnxruntime-gpu"):
        OnnxRuntimeNetwork(tiny_onnx, provider="CUDAExecutionProvider")


def test_onnx_runtime_that_falls_back_without_a_word(tiny_onnx: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    session = SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(module.onnxruntime, "InferenceSession", lambda *_, **__: session)
    with pytest.raises(BackendError, match="could not start its CUDAExecutionProvider"):
        OnnxRuntimeNetwork(tiny_onnx, provider="CUDAExecutionProvider")


@pytest.mark.parametrize(("asked", "threads"), [("3", 3), ("0", None), ("-1", None), ("many", None), ("", None)])
def test_threads(asked: str, threads: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEIRF_THREADS", asked)
    assert default_threads() == threads if threads else 1 <= default_threads() <= 8
