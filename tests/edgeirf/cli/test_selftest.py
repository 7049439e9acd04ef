"""``edgeirf selftest`` on a machine without a GPU: every check is skipped with its reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgeirf.cli import app
from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.runtime import selftest
from edgeirf.runtime.executors.machine import ThisMachine

NO_GPU = not ThisMachine().support("tensorrt").works


@pytest.mark.skipif(not NO_GPU, reason="this machine has a GPU: run `edgeirf selftest`")
def test_the_report_names_every_check(tiny_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "device.json"
    done = CliRunner().invoke(app, ["selftest", str(tiny_path), "--output", str(out), "--size", "64x48"])
    assert done.exit_code == 0, done.output
    report = json.loads(out.read_text())
    assert {check["status"] for check in report["checks"] if check["name"] != "machine"} == {"skipped"}
    assert all(check["detail"] for check in report["checks"] if check["status"] == "skipped")
    assert report["checks"][0]["figures"]["doctor"]["healthy"]
    assert f"0 failed, {len(report['checks']) - 1} skipped; wrote {out}" in done.output
    assert "nothing ran on a GPU" in done.output


def test_what_a_check_that_ends_the_process_leaves(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report of the checks before it: on a first GPU that may be all there is to send back."""

    def fatal() -> dict[str, object]:
        raise SystemExit(139)

    monkeypatch.setattr(selftest, "checks", lambda *_: iter([("first", lambda: {"figure": 1}), ("fatal", fatal)]))
    CliRunner().invoke(app, ["selftest", str(tiny_path), "--output", str(tmp_path / "d.json")])
    assert [one["name"] for one in json.loads((tmp_path / "d.json").read_text())["checks"]] == ["first"]


def test_a_report_that_cannot_be_written_is_said_before_the_checks(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest, "checks", lambda *_: pytest.fail("the checks are run"))
    done = CliRunner().invoke(app, ["selftest", str(tiny_path), "--output", str(tmp_path)])
    assert isinstance(done.exception, EdgeirfError)
    assert str(done.exception) == f"cannot write {tmp_path}: Is a directory"


def test_a_check_that_fails_is_exit_code_1(tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> dict[str, object]:
        raise selftest.Failed("memory grows")

    monkeypatch.setattr(selftest, "checks", lambda *_: iter([("leaks", broken)]))
    done = CliRunner().invoke(app, ["selftest", str(tiny_path), "--output", str(tmp_path / "d.json")])
    assert isinstance(done.exception, EdgeirfError)
    assert "1 of 1 checks failed" in str(done.exception)
    assert "memory grows" in done.output


def test_a_size_that_is_none(tiny_path: Path) -> None:
    done = CliRunner().invoke(app, ["selftest", str(tiny_path), "--size", "1280"])
    assert isinstance(done.exception, UsageError)
    assert "WIDTHxHEIGHT" in str(done.exception)


def test_the_folder_of_the_tests_runs_the_same_command() -> None:
    folder = Path(__file__).resolve().parents[2] / "device"
    done = subprocess.run([sys.executable, str(folder), "--help"], capture_output=True, text=True, check=True)
    assert "selftest" in done.stdout
    assert "BUNDLE" in done.stdout
