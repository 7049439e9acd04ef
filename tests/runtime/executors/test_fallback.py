"""Which graph starts when one does not, or ended a process."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest

import edgeirf
from edgeirf import bundle as bundles
from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError
from edgeirf.manifest import Model
from edgeirf.runtime.executors.fallback import Start


@pytest.fixture
def two(tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A bundle with its graph twice, as int8 and fp32."""
    monkeypatch.setenv("EDGEIRF_CACHE", str(tmp_path / "cache"))
    whole = Bundle.read(tiny_path)
    models = {"fp32": whole.manifest.models["fp32"]}
    models["int8"] = replace(models["fp32"], precision="int8", file="model.int8.onnx")
    members = {name: whole.member(name) for name in whole.manifest.members}
    members["model.int8.onnx"] = members["model.fp32.onnx"]
    bundles.write(tmp_path / "two.irf", replace(whole.manifest, models=models), members)
    return Bundle.read(tmp_path / "two.irf")


def test_the_first_graph_that_starts_is_taken(two: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    def load(key: str, model: Model) -> str:
        if key == "int8":
            raise BackendError("no memory")
        return key

    models = two.manifest.models
    graphs = [("int8", models["int8"]), ("fp32", models["fp32"])]
    assert Start(two, "the CPU", smaller=False).first(graphs, load) == "fp32"
    assert "int8 on the CPU: no memory; falling back to fp32" in caplog.text
    with pytest.raises(BackendError, match="int8 on the CPU: no memory"):
        Start(two, "the CPU", smaller=False).first(graphs[:1], load)


DIES = """
import os, sys, edgeirf
from edgeirf.runtime.executors import onnxruntime
started = 0
real = onnxruntime.OnnxRuntimeNetwork.run
def run(self, batch):
    os.kill(os.getpid(), 9)
onnxruntime.OnnxRuntimeNetwork.run = run
edgeirf.load(sys.argv[1], "cpu", threads=1)
"""


def test_a_start_after_one_that_killed_the_process_takes_the_next_smaller_choice(
    two: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    def die() -> int:
        return subprocess.run([sys.executable, "-c", DIES, str(two.path)], check=False, timeout=120).returncode

    def start() -> str:
        caplog.clear()
        with edgeirf.load(two.path, "cpu", threads=1) as detector:
            return detector.model_key

    assert die() == -signal.SIGKILL
    assert start() == "fp32"
    (line,) = caplog.messages
    assert line.startswith("int8 on the CPU: a process ended while starting int8 on the CPU")
    assert line.endswith("falling back to fp32")

    assert die() == -signal.SIGKILL  # in fp32, the last one
    fp32 = [("fp32", two.manifest.models["fp32"])]
    with pytest.raises(BackendError, match="a process ended"):  # another device follows
        Start(two, "the CPU", True, version=onnxruntime.__version__).first(fp32, lambda key, model: key)
    assert start() == "fp32"
    assert "there is no smaller choice: trying it again" in caplog.messages[-1]
