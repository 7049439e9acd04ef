from __future__ import annotations

import io
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeirf
from edgeirf import bundle as bundles
from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, BundleError


def with_int8(source: Path, path: Path, tolerance: float) -> Path:
    """The bundle with its graph once more as int8, which may be off by ``tolerance``."""
    whole = Bundle.read(source)
    fp32 = whole.manifest.models["fp32"]
    int8 = replace(fp32, precision="int8", report={"golden_tolerance": tolerance})
    members = {name: whole.member(name) for name in whole.manifest.members}
    bundles.write(path, replace(whole.manifest, models={"fp32": fp32, "int8": int8}), members)
    return path


def test_golden_scores_are_checked_on_the_cpu_too(tiny_path: Path, tmp_path: Path) -> None:
    with edgeirf.load(with_int8(tiny_path, tmp_path / "x.irf", 0.5), "cpu", threads=1) as detector:
        assert detector.model_key == "int8"
    moved = move_golden(Bundle.read(tiny_path), tmp_path / "moved.irf", 1.02)
    with pytest.raises(BackendError, match=r"fp32 on the CPU: scores of the golden images are off by 0\.02"):
        edgeirf.load(moved, "cpu", threads=1)


def test_a_precision_that_is_off_is_replaced_and_said(
    tiny_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = Bundle.read(tiny_path)
    moved = Bundle.read(move_golden(whole, tmp_path / "moved.irf", 1.004))
    with_int8(moved.path, tmp_path / "x.irf", 1e-4)
    with caplog.at_level(logging.WARNING), edgeirf.load(tmp_path / "x.irf", "cpu", threads=1) as detector:
        assert detector.model_key == "fp32"
    assert "int8 on the CPU: scores of the golden images are off by 0.004" in caplog.text
    assert "falling back to fp32" in caplog.text
    with pytest.raises(BackendError, match="int8 on the CPU"):
        edgeirf.load(tmp_path / "x.irf", "cpu", precision="int8", threads=1)


def test_a_bundle_without_golden_images_is_refused(tiny_path: Path, tmp_path: Path) -> None:
    whole = Bundle.read(tiny_path)
    bundles.write(tmp_path / "x.irf", whole.manifest, {"model.fp32.onnx": whole.member("model.fp32.onnx")})
    with pytest.raises(BundleError, match=r"has no golden\.npz"):
        edgeirf.load(tmp_path / "x.irf", "cpu", threads=1)


def move_golden(whole: Bundle, path: Path, gain: float) -> Path:
    """The bundle with its golden scores multiplied."""
    buffer = io.BytesIO()
    np.savez(buffer, images=whole.golden["images"], scores=np.asarray(whole.golden["scores"], float) * gain)
    members = {name: whole.member(name) for name in whole.manifest.members}
    bundles.write(path, whole.manifest, {**members, bundles.GOLDEN: buffer.getvalue()})
    return path
