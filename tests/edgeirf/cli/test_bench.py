from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgeirf.cli import app
from edgeirf.errors import UsageError

STAGES = {"upload", "preprocess", "network", "postprocess", "inference", "total"}


def test_bench_writes_json_and_plot(tiny_path: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "bench.json", tmp_path / "bench.svg"
    options = ["--device", "cpu", "--frames", "3", "--triggered", "1", "--interval-ms", "1", "--threads", "1"]
    done = CliRunner().invoke(
        app, ["bench", str(tiny_path), *options, "--json", str(out), "--plot", str(picture), "--size", "120x90"]
    )
    assert done.exit_code == 0, done.output
    assert all(len(line) <= 80 and line == line.rstrip() for line in done.stdout.splitlines())
    assert set(json.loads(out.read_text())["backends"]["onnxruntime-cpu"]["fp32"]) == STAGES
    assert picture.read_text().startswith("<svg")


def test_frames_of_a_camera(tiny_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    options = ["--device", "cpu", "--frames", "3", "--triggered", "0", "--threads", "1", "--camera", "test://"]
    done = CliRunner().invoke(app, ["bench", str(tiny_path), *options, "--json", str(out)])
    assert done.exit_code == 0, done.output
    assert set(json.loads(out.read_text())["backends"]["onnxruntime-cpu"]["fp32"]) == {"capture", *STAGES}


def test_jitter_is_measured_plain_and_in_real_time(tiny_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "jitter.json"
    command = [sys.executable, "-m", "edgeirf", "bench", str(tiny_path), "--jitter", "0.05", "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # keeps its priority
    assert done.returncode == 0, done.stderr
    assert "wake-up as it is: late by p50 " in done.stdout
    assert "wake-up in real time: late by p50 " in done.stdout
    assert json.loads(out.read_text())["jitter"]["plain"]["count"] == 50


def test_roofline_is_marked_as_computed(tiny_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "roofline.json"
    done = CliRunner().invoke(app, ["bench", str(tiny_path), "--roofline", "all", "--json", str(out)])
    assert done.exit_code == 0, done.output
    assert "COMPUTED, not measured" in done.output
    assert all(len(line) <= 80 and line == line.rstrip() for line in done.stdout.splitlines())
    told = json.loads(out.read_text())["roofline"]
    assert told["computed"] is True
    assert told["gpus"]["AGX Orin 64 GB"]["int8"]["ms"] > 0


@pytest.mark.parametrize("size", ["900", "axb", "1x", "0x5"])
def test_sizes_that_are_none(size: str, tiny_path: Path) -> None:
    done = CliRunner().invoke(app, ["bench", str(tiny_path), "--size", size])
    assert isinstance(done.exception, UsageError)
