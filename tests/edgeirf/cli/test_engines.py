from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgeirf.bundle import Bundle
from edgeirf.cli.engines import build_and_tell, check_engine
from edgeirf.errors import BackendError, UsageError
from edgeirf.runtime.tensorrt import library


@pytest.fixture
def own_bundle(tiny_path: Path, tmp_path: Path) -> Path:
    """A copy: the command writes into the bundle."""
    return Path(shutil.copy(tiny_path, tmp_path / "own.irf"))


@pytest.mark.parametrize(
    ("engine", "target", "message"),
    [
        ("openvino", None, "tensorrt or tensorrt-rtx"),
        ("tensorrt", "sm86", "--target goes with"),
        (None, "sm86", "goes"),
    ],
)
def test_wrong_choices(engine: str | None, target: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_engine(engine, target)


def test_a_real_build_is_told_and_kept(own_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX, which builds engines without a GPU, is not installed")
    before = Bundle.read(own_bundle)
    build_and_tell(own_bundle, "tensorrt-rtx", "sm86,sm89")
    assert "MB between them; 1 of 1 in Float" in capsys.readouterr().out
    after = Bundle.read(own_bundle)
    assert after.manifest.models["fp32"].report.engines[0].targets == ("SM86", "SM89")
    assert after.member("model.fp32.onnx") == before.member("model.fp32.onnx")


@pytest.mark.parametrize("engine", ["tensorrt", "tensorrt-rtx"])
def test_a_machine_without_the_library_is_told_what_the_device_does(
    own_bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    def missing(flavour: object = None) -> None:
        raise BackendError("TensorRT is not installed")

    monkeypatch.setattr(library, "load", missing)
    before = own_bundle.read_bytes()
    build_and_tell(own_bundle, engine, None)
    assert "the device builds its own" in " ".join(capsys.readouterr().err.split())
    assert own_bundle.read_bytes() == before
