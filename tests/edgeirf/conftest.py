from __future__ import annotations

import pytest

from edgeirf.conformal import Calibration
from edgeirf.gate_report import GateReport
from edgeirf.manifest import Manifest, Member, Method, Model
from edgeirf.settings import Preprocess, Scoring


@pytest.fixture
def manifest() -> Manifest:
    """A small manifest whose one member is ``model.fp32.onnx`` holding ``b"graph"``; the graph is never run."""
    model = Model(
        file="model.fp32.onnx",
        precision="fp32",
        family="any",
        calibration={"part": Calibration(scores=(1.0, 2.0, 3.0), peaks=(1.5, 2.5, 3.5))},
        scoring=Scoring(sigma=4.0),
        report=GateReport(torch_onnx_relative_difference=2e-6),
    )
    return Manifest(
        name="part",
        created="2025-01-01T00:00:00+00:00",
        edgeirf="0.1.0",
        preprocess=Preprocess(size=(64, 64)),
        method=Method("irf", (100,), "diagonal", "lite0", "nano"),
        false_reject_rate=0.25,
        models={"fp32": model},
        members={"model.fp32.onnx": Member(5, "5fe6a6cf7c4c8b3d9a1b2c1d3e3f0d5e" * 2)},
    )
