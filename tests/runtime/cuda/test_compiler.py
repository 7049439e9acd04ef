"""The compilers of this machine, and which one fits a driver."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeirf.errors import BackendError
from edgeirf.runtime.cuda import compiler


def compilers() -> list[str]:
    """Names of the compilers of this machine."""
    found = ["nvcc"] if shutil.which("nvcc") else []
    try:
        from cuda.bindings import nvrtc

        compiler.Nvrtc(nvrtc)
        found.append("nvrtc")
    except Exception:  # absent, or without its library
        return found
    return found


def make(name: str) -> compiler.Compiler:
    if name == "nvcc":
        return compiler.Nvcc("nvcc")
    from cuda.bindings import nvrtc

    return compiler.Nvrtc(nvrtc)


@pytest.mark.parametrize("name", compilers())
class TestCompilers:
    """The real ones, where they are."""

    def test_every_kernel_compiles(self, name: str) -> None:
        code = make(name).compile("postprocess.cu", "sm_87")
        assert code.startswith(b"\x7fELF")
        assert b"postprocess" in code
        assert make(name).version.startswith(f"{name}-")

    def test_an_error_is_one_line(self, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "bad.cu").write_text("__global__ void f() { nonsense; }\n")
        monkeypatch.setattr(compiler, "folder", lambda: tmp_path)
        monkeypatch.setattr(compiler, "source", lambda file: (tmp_path / file).read_text())
        with pytest.raises(BackendError) as raised:
            make(name).compile("bad.cu", "sm_87")
        assert "nonsense" in str(raised.value)
        assert "\n" not in str(raised.value)


def test_no_compiler_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(BackendError, match="no CUDA compiler"):
        compiler.find_compiler()


@pytest.mark.parametrize(
    ("there", "driver", "chosen"),
    [((13, 12), 13, 13), ((13, 12), 12, 12), ((12, 13), 13, 12), ((13,), None, 13), ((13,), 12, None), ((), 12, None)],
)
def test_the_compiler_must_not_be_newer_than_the_driver(
    there: tuple[int, ...],
    driver: int | None,
    chosen: int | None,
    fake_compiler: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compiler, "_compilers", lambda: iter([fake_compiler(f"fake-{cuda}", cuda) for cuda in there]))
    if chosen is not None:
        assert compiler.find_compiler(driver).cuda == chosen
        return
    with pytest.raises(BackendError, match="too new for this driver" if there else "no CUDA compiler") as raised:
        compiler.find_compiler(driver)
    assert "cuda-bindings[all]==12.*" in str(raised.value)
