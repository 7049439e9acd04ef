from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeirf import bundle as bundles
from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, BundleError
from edgeirf.gate_report import GateReport
from edgeirf.runtime.executors import golden
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork


class Scaled:
    """ONNX Runtime with its field multiplied."""

    name = "scaled"

    def __init__(self, bundle: Bundle, gain: float) -> None:
        self.inner = OnnxRuntimeNetwork(bundle.member("model.fp32.onnx"), threads=1)
        self.gain = np.float32(gain)

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.inner.run(batch) * self.gain

    def close(self) -> None:
        self.inner.close()


@pytest.mark.parametrize(
    ("gain", "report", "off"),
    [
        (1.0, GateReport(), None),
        (1.004, GateReport(), None),  # scores go with the square: 0.8 %
        (1.006, GateReport(), "off by 0.012, 0.01 is allowed"),
        (1.05, GateReport(golden_tolerance=0.2), None),
        (1.2, GateReport(golden_tolerance=0.2), "off by 0.44, 0.2 is allowed"),
        (1.0001, GateReport(golden_tolerance=1e-5), "off by 0.0002"),
        (float("nan"), GateReport(golden_tolerance=0.9), "off by nan"),
    ],
)
def test_scores_must_agree(tiny_path: Path, gain: float, report: GateReport, off: str | None) -> None:
    bundle = Bundle.read(tiny_path)
    model = replace(bundle.manifest.models["fp32"], report=report)
    if off is None:
        assert golden.check(bundle, model, Scaled(bundle, gain)) == pytest.approx(gain**2 - 1, abs=1e-6)
    else:
        with pytest.raises(BackendError, match=off):
            golden.check(bundle, model, Scaled(bundle, gain))


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": np.zeros((0, 1, 64, 64, 3), np.uint8), "scores": np.zeros(0)},
        {"images": np.zeros((2, 1, 64, 64, 3), np.uint8), "scores": np.zeros(3)},
        {"images": np.zeros((1, 1, 64, 64, 3), np.uint8), "scores": np.array(["many"])},
        {"images": np.zeros(1, np.uint8), "scores": np.zeros(1)},
    ],
)
def test_unusable_golden_images(tiny_path: Path, tmp_path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    whole = Bundle.read(tiny_path)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    members = {"model.fp32.onnx": whole.member("model.fp32.onnx"), bundles.GOLDEN: buffer.getvalue()}
    bundles.write(tmp_path / "bad.irf", whole.manifest, members)
    bad = Bundle.read(tmp_path / "bad.irf")
    with pytest.raises(BundleError, match=r"golden\.npz is unusable"):
        golden.check(bad, bad.manifest.models["fp32"], Scaled(bad, 1.0))
