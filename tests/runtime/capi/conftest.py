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

from edgeirf.runtime.capi.sources import onnxruntime_library, write_sources

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the helpers beside the tests are imported by name

from embed_vectors import ROOT, VECTORS, needs

WARNINGS = "-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror"
BuiltOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> BuiltOnce:
    """``built_once(name, build)``: what ``build(path)`` makes, once for all processes of the tests."""

    def get(name: str, build: Callable[[Path], None]) -> Path:
        base = tmp_path_factory.getbasetemp()
        shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
        path, done = shared / name, shared / f"{name}.done"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(path, ignore_errors=True)
                build(path)
                done.touch()
        return path

    return get


@pytest.fixture(scope="session")
def built(built_once: BuiltOnce) -> Path:
    """A folder as after ``edgeirf capi DIR``, ``cmake``, ``cmake --build`` and ``cmake --install``."""
    needs("cmake", "g++")
    if onnxruntime_library() is None:
        pytest.skip("this onnxruntime package has no shared library")

    def build(folder: Path) -> None:
        write_sources(folder)
        binary = str(folder / "build")
        flags = (f"-DCMAKE_INSTALL_PREFIX={folder / 'out'}", f"-DCMAKE_CXX_FLAGS={WARNINGS}")
        quick = "-DCMAKE_CXX_FLAGS_RELEASE=-O1"
        for command in (["-S", str(folder), "-B", binary, *flags, quick], ["--build", binary], ["--install", binary]):
            subprocess.run(["cmake", *command], check=True, stdout=subprocess.DEVNULL)

    return built_once("embed", build)


@pytest.fixture(scope="session")
def library_path(built: Path) -> Path:
    """The compiled library."""
    return built / "build" / "libedgeirf.so"


@pytest.fixture(scope="session")
def host() -> ModuleType:
    """The ctypes binding of ``examples/embed/ctypes/host.py``."""
    spec = importlib.util.spec_from_file_location("embed_host", ROOT / "examples" / "embed" / "ctypes" / "host.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["embed_host"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def open_line(host: ModuleType, library_path: Path) -> Callable[..., Any]:
    """``open_line(path, **options)``: a bundle in the C library."""
    library = host.open_library(library_path)
    return lambda path, **more: host.Line(library, path, **more)


@pytest.fixture
def whole(open_line: Callable[..., Any]) -> Iterator[Any]:
    """The shared vectors' bundle that inspects whole frames."""
    with open_line(VECTORS / "whole.irf") as line:
        yield line
