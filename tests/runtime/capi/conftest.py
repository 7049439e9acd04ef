from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgeirf.runtime.capi.sources import FOLDER, onnxruntime_library

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the helpers beside the tests are imported by name

from embed_vectors import ROOT, VECTORS

WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wno-sign-conversion", "-Werror"]


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """``built_once(name, build)``: what ``build(path)`` makes, once for all processes of the tests."""

    def get(name: str, build: Callable[[Path], None]) -> Path:
        base = tmp_path_factory.getbasetemp()
        shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
        path, done = shared / name, shared / f"{name}.done"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                build(path)
                done.touch()
        return path

    return get


def compile_library(out: Path, *flags: str) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed: apt install g++")
    command = ["g++", "-std=c++17", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", *WARNINGS, *flags]
    subprocess.run([*command, "-o", str(out), str(FOLDER / "edgeirf.cpp"), "-ldl"], check=True)


@pytest.fixture(scope="session")
def library_path(built_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """The compiled library."""
    return built_once("libedgeirf.so", compile_library)


def _load_host() -> ModuleType:
    spec = importlib.util.spec_from_file_location("embed_host", ROOT / "examples" / "embed" / "ctypes" / "host.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["embed_host"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def host() -> ModuleType:
    """The ctypes binding of ``examples/embed/ctypes/host.py``."""
    return _load_host()


@pytest.fixture(scope="session")
def onnxruntime_path() -> Path:
    library = onnxruntime_library()
    if library is None:
        pytest.skip("this onnxruntime package has no shared library")
    return library


@pytest.fixture(scope="session")
def open_line(host: ModuleType, library_path: Path, onnxruntime_path: Path) -> Callable[..., Any]:
    """``open_line(path, **options)``: a bundle in the C library."""
    library = host.open_library(library_path)
    return lambda path, **more: host.Line(library, path, **{"onnxruntime": str(onnxruntime_path).encode(), **more})


@pytest.fixture
def whole(open_line: Callable[..., Any]) -> Iterator[Any]:
    """The shared vectors' bundle that inspects whole frames."""
    with open_line(VECTORS / "whole.irf") as line:
        yield line
