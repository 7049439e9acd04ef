"""Which ONNX Runtime the library opens: one for the life of a process, so each test starts a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from embed_vectors import CASES, ROOT, VECTORS, needs

from edgeirf.runtime.capi.sources import onnxruntime_library

RUNTIME = 3

CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import host
try:
    with host.Line(host.open_library(sys.argv[2]), sys.argv[3], onnxruntime=sys.argv[4].encode() or None) as line:
        print(line.inspect(*host.read_picture(sys.argv[5]))[0].score)
except host.EdgeirfError as error:
    print(error.code, error)
"""


def in_a_process(library: Path, onnxruntime: str | Path) -> str:
    """What a new process says that opens this ONNX Runtime: one is opened for the life of a process."""
    folder = ROOT / "examples" / "embed" / "ctypes"
    arguments = [folder, library, VECTORS / "whole.irf", onnxruntime, VECTORS / "one.ppm"]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def fake(tmp_path: Path, code: str) -> Path:
    """A shared library that calls itself ONNX Runtime."""
    needs("gcc")
    (tmp_path / "fake.c").write_text(code)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "fake.so", tmp_path / "fake.c"], check=True)
    return tmp_path / "fake.so"


OLD = """
static const void *api(unsigned version) { (void)version; return 0; }
static const char *name(void) { return "1.13.1"; }
static const struct { const void *(*api)(unsigned); const char *(*name)(void); } base = {api, name};
const void *OrtGetApiBase(void) { return &base; }
"""


def test_an_onnx_runtime_that_is_not_there(library_path: Path, tmp_path: Path) -> None:
    said = in_a_process(library_path, tmp_path / "none.so")
    assert said.startswith(f"{RUNTIME} cannot load ONNX Runtime")
    assert "pip install onnxruntime" in said


def test_an_onnx_runtime_that_is_too_old(library_path: Path, tmp_path: Path) -> None:
    said = in_a_process(library_path, fake(tmp_path, OLD))
    assert "is ONNX Runtime 1.13.1: 1.14 or later is necessary" in said


def test_a_library_that_is_something_else(library_path: Path, tmp_path: Path) -> None:
    assert "is not ONNX Runtime" in in_a_process(library_path, fake(tmp_path, "int x;"))


def test_another_onnx_runtime_with_the_same_binary(library_path: Path) -> None:
    """``EDGEIRF_TEST_ONNXRUNTIME`` names another version's library, as of a wheel of 1.20.1."""
    other = os.environ.get("EDGEIRF_TEST_ONNXRUNTIME")
    if not other:
        pytest.skip("name the library of another ONNX Runtime in EDGEIRF_TEST_ONNXRUNTIME")
    want = next(c for c in CASES if c["picture"] == "one.ppm")["score"]
    assert float(in_a_process(library_path, other)) == pytest.approx(want, rel=1e-5)


def test_the_environment_goes_before_the_path_of_the_build(
    library_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = next(c for c in CASES if c["picture"] == "one.ppm")["score"]
    assert float(in_a_process(library_path, "")) == pytest.approx(want, rel=1e-5)
    monkeypatch.setenv("EDGEIRF_ONNXRUNTIME", str(tmp_path / "none.so"))
    assert in_a_process(library_path, "").startswith(f"{RUNTIME} cannot load ONNX Runtime")
    assert float(in_a_process(library_path, onnxruntime_library() or "")) == pytest.approx(want, rel=1e-5)
