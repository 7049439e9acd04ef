"""Compiles the kernels with g++: a library to call, or a program under AddressSanitizer."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgeirf.runtime.kernels import SOURCES, folder

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[2] / "build"
RUNTIME = ("fibers.cpp", "memory.cpp", "control.cpp")
FLAGS = ("-std=c++17", "-O1", "-g", "-fPIC", "-ffp-contract=off", "-Wall", "-Werror", "-Wno-unknown-pragmas")
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


Files = Mapping[str, tuple[str, ...]]
"""``.cu`` file to the kernels in it."""


def library(kernels: Path | None = None, files: Files = SOURCES) -> Path:
    """A shared library with ``cudacpu_launch_<kernel>`` for each kernel; built when a source has changed.

    Args:
        kernels: folder of the ``.cu`` and ``.cuh`` files; by default the project's own.
        files: which of them, and their kernels.
    """
    return _build(kernels or folder(), files, ("-shared",), "libkernels", ".so", RUNTIME)


def sanitized_program() -> Path:
    """A program that runs one launch from a file under AddressSanitizer; see ``runner.cpp``."""
    return _build(folder(), SOURCES, SANITIZE, "run-kernel", "", (*RUNTIME, "runner.cpp"))


def launchers(file: str, kernels: tuple[str, ...]) -> str:
    """C++ that includes one ``.cu`` file and makes its kernels callable.

    The kernels get internal linkage: their ``__shared__`` variables could not share a section otherwise.
    """
    calls = "\n".join(f"LAUNCHER({name})" for name in kernels)
    return f'#include "cuda_on_cpu.h"\nnamespace {{\n#include "{file}"\n}}\n{calls}\n'


def _build(
    kernels: Path, files: Files, flags: tuple[str, ...], name: str, ending: str, runtime: tuple[str, ...]
) -> Path:
    sources = [*sorted(HERE.glob("*.h")), *sorted(HERE.glob("*.cpp")), *sorted(kernels.glob("*.cu*"))]
    key = hashlib.sha256(repr((dict(files), flags, FLAGS)).encode() + b"".join(path.read_bytes() for path in sources))
    final = BUILD / f"{name}-{key.hexdigest()[:12]}{ending}"
    if final.exists():
        return final
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        units = [str(HERE / name) for name in runtime]
        for file, names in files.items():
            unit = Path(scratch) / f"{Path(file).stem}.cpp"
            unit.write_text(launchers(file, names))
            units.append(str(unit))
        out = Path(scratch) / "out"
        command = ["g++", *FLAGS, *flags, "-I", str(HERE), "-I", str(kernels), "-o", str(out), *units]
        subprocess.run(command, check=True)
        out.rename(final)
    return final
