"""Examples in docstrings run, in a folder that holds ``bottle.irf`` (a tiny bundle) and ``parts/``."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeirf
from edgeirf.bundle import Bundle
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.conformal import Calibration
from edgeirf.gate_report import GateReport
from edgeirf.manifest import Manifest, Method
from edgeirf.runtime.executors.base import Executor, Network
from edgeirf.runtime.sinks import Record, Sink
from edgeirf.runtime.sources.frame import Frame, Source
from edgeirf.settings import Preprocess, Scoring
from edgeirf.trainers.run import Run

ROOT = Path(__file__).parents[1]
PUBLIC = [
    *(getattr(edgeirf, name) for name in edgeirf.__all__),
    *(Calibration, Executor, Frame, GateReport, Manifest, Method, Network, Preprocess, Record, Run, Scoring, Sink),
    *(Source, Tolerances, Bundle),
]


def modules_with_examples() -> list[str]:
    """Full names of the modules of the product whose text has an example."""
    found = []
    for top in ("edgeirf", "runtime", "calib", "trainers", "export"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if ">>> " in path.read_text():
                parts = path.relative_to(ROOT).with_suffix("").parts
                parts = parts[:-1] if parts[-1] == "__init__" else parts
                found.append(".".join(parts if parts[0] == "edgeirf" else ("edgeirf", *parts)))
    return found


@pytest.fixture
def line_folder(tiny_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_bundle(tmp_path / "bottle.irf", name="bottle", held_out=20, false_reject_rate=0.05)
    (tmp_path / "parts").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("line_folder")
@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_in_docstrings_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(name)
    names = {"edgeirf": edgeirf, "np": np}
    failed, tried = doctest.testmod(module, extraglobs=names, optionflags=doctest.ELLIPSIS)
    assert failed == 0, capsys.readouterr().out
    assert tried > 0


@pytest.mark.parametrize("public", PUBLIC, ids=lambda public: public.__name__)
def test_every_public_name_has_an_example(public: Any) -> None:
    assert ">>> " in (public.__doc__ or "")
