"""ONNX Runtime as the network: what it cannot do is one clear line, and nothing leaves the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import edgeirf
from edgeirf.errors import BackendError
from edgeirf.runtime.executors import onnxruntime as module
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork

FRAME = np.full((64, 64, 3), 128, np.uint8)

ALONE = """
import socket, sys
made = []
class Counted(socket.socket):
    def __init__(self, *arguments, **named):
        made.append(arguments)
        super().__init__(*arguments, **named)
socket.socket = Counted
import edgeirf, numpy
with edgeirf.load(sys.argv[1], sys.argv[2], threads=1) as detector:
    detector(numpy.full((64, 64, 3), 128, numpy.uint8))
import time
time.sleep(0.5)
def sockets():
    import os
    for name in os.listdir("/proc/self/fd"):
        try:
            yield os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            pass
print(len(made), sum(sockets()))
"""


@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_nothing_leaves_the_machine_and_nothing_is_left_in_the_home_folder(
    tmp_path: Path, tiny_path: Path, device: str
) -> None:
    if device == "openvino":
        pytest.importorskip("openvino", reason="OpenVINO is an extra: pip install 'edgeirf[openvino]'")
    home = tmp_path / "home"
    home.mkdir()
    places = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "TMPDIR")
    environment = {**os.environ, **dict.fromkeys(places, str(home))}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run(
        [sys.executable, "-c", ALONE, tiny_path, device],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.split() == ["0", "0"]
    assert [path for path in home.rglob("*") if path.is_file() or path.name not in ("edgeirf", "notes")] == []


def test_closing_twice_is_no_error_and_a_call_after_close_is_one_line(tiny_path: Path, tiny_onnx: bytes) -> None:
    network = OnnxRuntimeNetwork(tiny_onnx, threads=1)
    network.close()
    network.close()
    with pytest.raises(BackendError, match="the model is closed: load it again"):
        network.run(np.zeros((1, 3, 64, 64), np.float32))
    detector = edgeirf.load(tiny_path, threads=1)
    detector.close()
    detector.close()
    with pytest.raises(BackendError, match="closed"):
        detector(FRAME)


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
