"""What a machine has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgeirf.runtime.executors.machine import ThisMachine, gpu_present


def test_the_cpu_always_works_here() -> None:
    assert ThisMachine().support("cpu").works
    assert "CUDA" in ThisMachine().support("cuda").reason


def test_looking_at_a_machine_loads_no_library() -> None:
    """``edgeirf doctor`` must work where OpenCV or ONNX Runtime crashes."""
    code = "import sys, edgeirf.runtime.doctor; print(*{'cv2', 'onnxruntime', 'pycuda', 'tensorrt'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


@pytest.mark.parametrize("nodes", [("nvidiactl",), ("nvmap", "nvhost-ctrl-gpu"), ("dxg",), ()])
def test_a_gpu_is_seen_by_its_device_nodes(tmp_path: Path, nodes: tuple[str, ...]) -> None:
    (tmp_path / "dev").mkdir()
    for node in nodes:
        (tmp_path / "dev" / node).touch()
    assert gpu_present(tmp_path) is bool(nodes)
