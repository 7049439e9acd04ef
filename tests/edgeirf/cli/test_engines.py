from __future__ import annotations

from pathlib import Path

import pytest

from edgeirf.bundle import Bundle
from edgeirf.cli.engines import build_and_tell, check_engine
from edgeirf.errors import BackendError, UsageError
from edgeirf.runtime.tensorrt import library


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


def test_a_real_build_is_told_and_kept(tiny_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX, which builds engines without a GPU, is not installed")
    before = Bundle.read(tiny_path)
    build_and_tell(tiny_path, "tensorrt-rtx", "sm86,sm89")
    assert "fp32 for SM86, SM89: 1 of 1 in Float" in capsys.readouterr().out
    after = Bundle.read(tiny_path)
    assert after.manifest.models["fp32"].report["engines"][0]["targets"] == ["SM86", "SM89"]
    assert after.member("model.fp32.onnx") == before.member("model.fp32.onnx")


@pytest.mark.parametrize("engine", ["tensorrt", "tensorrt-rtx"])
def test_a_machine_without_the_library_is_told_what_the_device_does(
    tiny_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    def missing(flavour: object = None) -> None:
        raise BackendError("TensorRT is not installed")

    monkeypatch.setattr(library, "load", missing)
    before = tiny_path.read_bytes()
    build_and_tell(tiny_path, engine, None)
    assert "the device builds its own" in " ".join(capsys.readouterr().err.split())
    assert tiny_path.read_bytes() == before
