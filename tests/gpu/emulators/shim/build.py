"""Compiles the kernels with g++: a library to call, or a program under AddressSanitizer."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgeirf.runtime.kernels import SOURCES, folder

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[3] / "build"
RUNTIME = ("fibers.cpp", "memory.cpp", "control.cpp")
FLAGS = ("-std=c++17", "-g", "-fPIC", "-ffp-contract=off", "-Wall", "-Werror", "-Wno-unknown-pragmas")
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


Files = Mapping[str, tuple[str, ...]]
"""``.cu`` file to the kernels in it."""

Flags = tuple[str, ...]


def library(kernels: Path | None = None, files: Files = SOURCES, optimise: bool = True) -> Path:
    """A shared library with ``cudacpu_launch_<kernel>`` for each kernel; built when a source has changed.

    Args:
        kernels: folder of the ``.cu`` and ``.cuh`` files; by default the project's own.
        files: which of them, and their kernels.
        optimise: compile for speed; else for a short build.
    """
    return _build(kernels or folder(), files, ("-O1",) if optimise else ("-O0",), ("-shared",), RUNTIME)


def sanitized_program(kernels: Path | None = None, files: Files = SOURCES) -> Path:
    """A program that runs one launch from a file under AddressSanitizer; see ``runner.cpp``."""
    return _build(kernels or folder(), files, ("-O1", *SANITIZE), ("-rdynamic",), (*RUNTIME, "runner.cpp"))


def launchers(file: str, kernels: tuple[str, ...]) -> str:
    """C++ that includes one ``.cu`` file and makes its kernels callable.

    The kernels get internal linkage: their ``__shared__`` variables could not share a section otherwise.
    """
    calls = "\n".join(f"LAUNCHER({name})" for name in kernels)
    return f'#include "cuda_on_cpu.h"\nnamespace {{\n#include "{file}"\n}}\n{calls}\n'


def _build(kernels: Path, files: Files, flags: Flags, link: Flags, runtime: tuple[str, ...]) -> Path:
    """Compiles the kernels and links them with the runtime, unless that was done before."""
    sources = b"".join(path.read_bytes() for path in sorted(kernels.glob("*.cu*")))
    objects = [_object(name, flags) for name in runtime]
    key = _digest(repr((dict(files), flags, link, [path.name for path in objects])).encode() + sources)
    final = BUILD / f"kernels-{key}{'.so' if '-shared' in link else ''}"
    if final.exists():
        return final
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        units = []
        for file, names in files.items():
            unit = Path(scratch) / f"{Path(file).stem}.cpp"
            unit.write_text(launchers(file, names))
            units.append(str(unit))
        out = Path(scratch) / "out"
        include = ["-I", str(HERE), "-I", str(kernels)]
        command = ["g++", *FLAGS, *flags, *link, *include, "-o", str(out), *units, *map(str, objects), "-ldl"]
        subprocess.run(command, check=True)
        out.rename(final)
    return final


def _object(name: str, flags: Flags) -> Path:
    """One file of the runtime, compiled; always for speed."""
    flags = tuple("-O1" if flag == "-O0" else flag for flag in flags)
    text = b"".join(path.read_bytes() for path in [*sorted(HERE.glob("*.h")), HERE / name])
    final = BUILD / f"{Path(name).stem}-{_digest(repr(flags).encode() + text)}.o"
    if not final.exists():
        BUILD.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
            out = Path(scratch) / "out.o"
            subprocess.run(["g++", *FLAGS, *flags, "-c", str(HERE / name), "-o", str(out)], check=True)
            out.rename(final)
    return final


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
