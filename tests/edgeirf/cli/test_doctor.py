from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from edgeirf import cli
from edgeirf.cli.doctor import render
from edgeirf.runtime import doctor
from edgeirf.runtime.doctor import Examination, Finding
from edgeirf.runtime.executors.select import Candidate


def examination(*findings: Finding) -> Examination:
    devices = (
        Candidate("tensorrt", "", "", runs=False, taken=False, reason="there is no NVIDIA GPU"),
        Candidate("cpu", "", "", runs=True, taken=True, reason="ONNX Runtime 1.23.2"),
    )
    return Examination({"Software": findings}, devices)


FINE = Finding("Python", "ok", "3.11.7")
SLOW = Finding("GPU clock", "warn", "varies", "sudo jetson_clocks")
BROKEN = Finding("NumPy", "fail", "No module named 'numpy'", "pip install numpy")
ABSENT = Finding("PyTorch", "note", "not installed", "pip install '.[train]'")


def show(monkeypatch: pytest.MonkeyPatch, found: Examination, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(doctor, "examine", lambda: found)
    result = CliRunner().invoke(cli.app, ["doctor", *arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("findings", "code", "outcome"),
    [
        ((FINE, ABSENT), 0, "--device auto runs ONNX Runtime on the CPU, because there is no NVIDIA GPU."),
        ((FINE, SLOW), 0, "--device auto runs ONNX Runtime"),
        ((FINE, BROKEN), 1, "edgeirf cannot work on this machine yet."),
    ],
)
def test_the_exit_code_says_whether_edgeirf_can_work(
    monkeypatch: pytest.MonkeyPatch, findings: tuple[Finding, ...], code: int, outcome: str
) -> None:
    exit_code, output = show(monkeypatch, examination(*findings))
    assert exit_code == code
    assert outcome in " ".join(output.split())


def test_commands_are_listed_once_worst_first(monkeypatch: pytest.MonkeyPatch) -> None:
    _, output = show(monkeypatch, examination(SLOW, BROKEN, ABSENT, Finding("CPU clock", "warn", "x", SLOW.fix)))
    commands = output[output.index("To fix") :].splitlines()
    assert commands[1:5] == ["  NumPy:", "    pip install numpy", "  GPU clock, CPU clock:", "    sudo jetson_clocks"]
    assert ".[train]" not in "".join(commands)  # nothing is wrong without PyTorch


def test_nothing_to_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "To fix" not in show(monkeypatch, examination(FINE, ABSENT))[1]


def test_json(monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = show(monkeypatch, examination(FINE, BROKEN), "--json")
    data = json.loads(output)
    assert code == 1
    assert (data["healthy"], data["device"]) == (False, "onnxruntime")
    assert data["findings"][1] == {"group": "Software", **vars(BROKEN)}
    assert re.fullmatch(r"\d+\.\d+\.\d+", data["edgeirf"])


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_lines_fit_the_terminal_and_commands_stay_whole(columns: int) -> None:
    command = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
    long = Finding("ONNX Runtime", "warn", "both are installed and overwrite each other " * 4, command)
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in render(examination(FINE, long), columns)]
    assert [line for line in lines if len(line) > columns] == ([f"    {command}"] if columns < 80 else [])
    assert f"    {command}" in lines
