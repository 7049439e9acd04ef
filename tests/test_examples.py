"""The programs in ``examples/`` run on the tiny bundle."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from edgeirf.bundle import Bundle
from edgeirf.export.standalone.graph import standalone_of
from edgeirf.runtime.line.config import read_config

EXAMPLES = Path(__file__).parents[1] / "examples"
VECTORS = Path(__file__).parent / "data" / "embed"
CASES = json.loads((VECTORS / "expected.json").read_text())


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pictures(tmp_path: Path, good: Callable[..., np.ndarray], bad: Callable[..., np.ndarray]) -> Path:
    """Two good parts and a bad one, as a video of pictures that OpenCV reads."""
    for index, frame in enumerate((good(1), bad(2), good(3))):
        cv2.imwrite(str(tmp_path / f"{index}.png"), frame)
    return tmp_path


def test_a_host_that_owns_the_camera(
    tiny_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [cv2.imread(str(pictures / f"{index}.png")) for index in range(3)]

    class Camera:
        def __init__(self, number: int) -> None:
            self.left = iter(frames)

        def read(self) -> tuple[bool, np.ndarray | None]:
            frame = next(self.left, None)
            return frame is not None, frame

        def release(self) -> None:
            return

    host_loop = example("host_loop")
    monkeypatch.setattr(host_loop.cv2, "VideoCapture", Camera)
    assert host_loop.inspect(str(tiny_path), "0") == 1
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == [
        "part 0: good",
        "part 1: REJECT",
        "part 2: good",
    ]
    assert host_loop.inspect(str(tiny_path), "0", 1) == 0


def test_a_pipeline_with_its_own_sink(tiny_path: Path, pictures: Path) -> None:
    found = example("own_sink").inspect(str(tiny_path), str(pictures))
    assert found.rejects == 1
    y, x = np.unravel_index(found.total.argmax(), found.total.shape)
    assert 16 <= x < 32
    assert 16 <= y < 32


@pytest.mark.parametrize("name", ["host_loop", "own_sink"])
def test_an_example_ends_with_one_line_when_the_bundle_is_missing(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), str(tmp_path / "missing.irf"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == f"cannot read {tmp_path / 'missing.irf'}: No such file or directory"


def test_the_line_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MES_PASSWORD", "secret")
    line = read_config(EXAMPLES / "line.toml")
    assert [camera.name for camera in line.cameras] == ["top", "side"]
    assert [output.kind for output in line.outputs] == ["modbus", "gpio", "mqtt"]
    nozzle = line.outputs[1].settings
    assert nozzle.delay_ms > (line.line.deadline_ms or 0)  # else it blows before the verdict
    assert line.records.audit_mb


def same(line: str, case: dict[str, Any]) -> bool:
    """Whether a host's line says what is expected."""
    found = re.search(r": (REJECT|good), score ([-\d.e]+)", line)
    assert found is not None, line
    return (found[1] == "REJECT", float(found[2])) == (case["reject"], pytest.approx(case["score"], rel=1e-5))


def test_the_bare_graph_with_onnx_runtime_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "whole.onnx").write_bytes(standalone_of(Bundle.read(VECTORS / "whole.irf"), "bgr8"))
    cases = [case for case in CASES if case["bundle"] == "whole.irf"]  # OpenCV reads gray pictures as colour
    host = example("embed/graph")
    files = [str(VECTORS / case["picture"]) for case in cases]
    assert host.inspect(str(tmp_path / "whole.onnx"), [*files, "missing.png"]) == 1 + sum(c["reject"] for c in cases)
    *lines, missing = capsys.readouterr().out.splitlines()
    assert all(same(*pair) for pair in zip(lines, cases, strict=True))
    assert missing == "missing.png: REJECT, score nan"


@pytest.mark.skipif("EDGEIRF_NODE_PEER" not in os.environ, reason="`make test-embed` installs onnxruntime-node")
def test_the_bare_graph_in_node(tmp_path: Path) -> None:
    host = EXAMPLES / "embed" / "node" / "inspect.js"

    def node(*arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "NODE_PATH": os.environ["EDGEIRF_NODE_PEER"]}
        command = ["node", str(host), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    graph = tmp_path / "whole.onnx"
    graph.write_bytes(standalone_of(Bundle.read(VECTORS / "whole.irf"), "rgb8"))
    cases = [case for case in CASES if case["bundle"] == "whole.irf"]
    done = node(graph, *(VECTORS / case["picture"] for case in cases), VECTORS / "expected.json")
    *lines, refused = done.stdout.splitlines()
    assert done.returncode == 1
    assert all(same(*pair) for pair in zip(lines, cases, strict=True))
    assert refused.endswith("expected.json: REJECT, not a binary PPM or PGM of 8 bits")
    for case in (case for case in CASES if case["bundle"].endswith(".onnx")):
        rows = case["height"] * 3 // 2 if case["pixel_format"] == "nv12" else case["height"]
        done = node(VECTORS / case["bundle"], f"{VECTORS / case['picture']}:{rows}x{case['width']}x1")
        assert same(done.stdout, case)
    assert node(tmp_path / "none.onnx", "x").stderr.startswith(f"cannot open {tmp_path / 'none.onnx'}: ")
    assert node().returncode == 2
