from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeirf.bundle import Bundle
from edgeirf.cli import demo
from edgeirf.frame_contract import FrameContract


@pytest.fixture
def tiny_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo with few parts, few steps and fp32 alone."""
    from edgeirf.export import bundle

    options = bundle.Options
    monkeypatch.setattr(demo, "GOOD_PARTS", 20)
    monkeypatch.setattr(demo, "STEPS", 2)
    monkeypatch.setattr(demo, "TEST_GOOD", 3)
    monkeypatch.setattr(demo, "TEST_DEFECTS", 1)
    monkeypatch.setattr(demo, "STREAM_FRAMES", 3)
    monkeypatch.setattr(bundle, "Options", lambda **chosen: options(precisions=("fp32",), **chosen))


@pytest.mark.usefixtures("tiny_demo")
def test_the_demo_leaves_a_bundle_verdicts_and_a_report(edgeirf_command: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    code, out, err = edgeirf_command("demo", "--output", folder, "--size", 256)
    assert code == 0, err
    manifest = Bundle.read(folder / "flange.irf").manifest
    assert manifest.false_reject_rate == 0.05
    assert manifest.frame == FrameContract(256, 256, 8, 3)
    assert "&size=256'" in out.replace("\n", "")
    verdicts = [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]
    assert [one["frame_id"] for one in verdicts] == [0, 1, 2]
    assert (folder / "report.html").stat().st_size > 10_000
    for name in ("report.html", "rejects", "verdicts.jsonl", "flange.irf"):
        assert str(folder / name) in out.replace("\n", "")


def test_the_demo_overwrites_nothing(edgeirf_command: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    code, _, err = edgeirf_command("demo", "--output", tmp_path)
    assert code == 2
    assert "--output" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
