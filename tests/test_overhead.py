"""The benchmark of the README runs and measures what it says."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "overhead.py"


def test_the_overhead_benchmark_measures_both_ways(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("overhead", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    overhead = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(overhead)
    arguments = ["overhead.py", str(tiny_path), "--frames", "3", "--size", "96", "--jsonl", str(tmp_path / "out.jsonl")]
    monkeypatch.setattr("sys.argv", [*arguments, "--json"])
    overhead.main()
    figures = json.loads(capsys.readouterr().out)
    assert figures["ratio"] == pytest.approx(figures["pipeline_p50_ms"] / figures["bare_p50_ms"])
    assert figures["stages_p50_ms"]["camera_to_verdict"] >= figures["stages_p50_ms"]["network"] > 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 13
    monkeypatch.setattr("sys.argv", arguments)
    overhead.main()
    assert "ratio" in capsys.readouterr().out
