"""Interruption, the same in every command."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from edgeirf.cli import console
from edgeirf.cli.console import engine_progress, stop_on_signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_and_the_second_does_what_it_always_does(number: int) -> None:
    before = signal.getsignal(number)
    received: list[int] = []
    signal.signal(number, lambda *_: received.append(number))
    try:
        stops: list[bool] = []
        with stop_on_signal(lambda: stops.append(True)) as stopped:
            assert not stopped()
            os.kill(os.getpid(), number)
            assert stopped()
            assert (stops, received) == ([True], [])
            os.kill(os.getpid(), number)
            assert (stops, received) == ([True], [number])
        with stop_on_signal():
            pass
        os.kill(os.getpid(), number)
        assert (stops, received) == ([True], [number, number])
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_appears_only_when_an_engine_is_built(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=shown, force_terminal=terminal, width=80))
    with engine_progress():
        pass
    assert shown.getvalue() == ""
    with engine_progress() as report:
        report(0.0, "tactics")
        report(0.42, "tactics")
    assert ("42/100" in shown.getvalue()) == terminal


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["info", "BUNDLE"], ["predict", "DIR", "--model", "BUNDLE"], ["--help"]])
def test_a_full_disk_behind_standard_output_is_one_line(arguments: list[str], tiny_path: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "part.png"), np.full((64, 64, 3), 128, np.uint8))
    places = {"BUNDLE": str(tiny_path), "DIR": str(tmp_path)}
    command = [sys.executable, "-m", "edgeirf", *(places.get(one, one) for one in arguments)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (1, "edgeirf: standard output: No space left on device\n")


def test_verdicts_for_a_standard_output_that_is_not_there_are_an_error(tiny_path: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "part.png"), np.full((64, 64, 3), 128, np.uint8))
    command = f"'{sys.executable}' -m edgeirf run --model '{tiny_path}' --camera '{tmp_path}' --jsonl - >&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "cannot write standard output" in done.stderr


@pytest.mark.parametrize("command", [[], ["run"], ["train"]])
def test_help_in_a_pipe_has_80_columns_and_no_spaces_at_the_ends(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgeirf", *command, "--help"], capture_output=True, text=True, timeout=120, check=True
    )
    assert "Usage: " in done.stdout
    assert [line for line in done.stdout.splitlines() if len(line) > 80 or line != line.rstrip()] == []


def test_too_little_memory_is_one_line() -> None:
    code = (
        "import sys, edgeirf.cli.info as info\n"
        "def ask(*_): bytearray(1 << 60)\n"
        "info.Bundle.read = ask\n"
        "from edgeirf.entry import main; sys.argv = ['edgeirf', 'info', 'x.irf']; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("edgeirf: there is not enough memory")
