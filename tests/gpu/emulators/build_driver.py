"""Builds the stand-in ``libcuda.so.1`` from ``tests/gpu/emulators/driver``."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[2] / "build"


def driver(pycuda: Path, root: Path) -> Path:
    """The folder that holds ``libcuda.so.1``, built first when a source has changed (about 20 seconds).

    Args:
        pycuda: the installed pycuda; entry points that it links and the stand-in lacks answer "not supported".
        root: the CUDA toolkit, for ``cuda.h``.
    """
    sources = sorted((HERE / "driver").glob("*.cpp"))
    key = hashlib.sha256(b"".join(p.read_bytes() for p in [*sources, HERE / "driver" / "standin.h"]))
    final = BUILD / f"libcuda-{key.hexdigest()[:12]}-{pycuda.name}"
    if final.exists():
        return final
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        out = Path(scratch) / "lib"
        out.mkdir()
        objects = [_compile(source, root, Path(scratch)) for source in sources]
        stubs = Path(scratch) / "stubs.c"
        stubs.write_text(_stubs(_symbols(pycuda.glob("pycuda/_*.so"), "--undefined-only") - _symbols(objects)))
        library = ["-o", out / "libcuda.so.1", "-Wl,-soname,libcuda.so.1", *objects, "-x", "c", stubs]
        subprocess.run(["g++", "-shared", "-fPIC", *library, "-ldl"], check=True)
        if not final.exists():  # another process may have been quicker
            out.rename(final)
    return final


def _compile(source: Path, root: Path, scratch: Path) -> Path:
    target = scratch / f"{source.stem}.o"
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden"]
    subprocess.run(["g++", *flags, "-isystem", root / "include", "-c", source, "-o", target], check=True)
    return target


def _symbols(files: object, *flags: str) -> set[str]:
    dynamic = ["-D"] if flags else ["--defined-only"]
    listed = subprocess.run(["nm", *dynamic, *flags, *files], capture_output=True, text=True, check=True).stdout
    names = {line.split()[-1] for line in listed.splitlines() if line.strip() and not line.endswith(":")}
    return {name for name in names if name.startswith("cu") and name[2:3].isupper()}


def _stubs(names: set[str]) -> str:
    lines = ["#include <stdio.h>"]
    for name in sorted(names):
        message = f'fputs("stand-in driver: {name} is not there\\n", stderr)'
        lines.append(f"int {name}(void) {{ {message}; return 801; }}")
    return "\n".join(lines) + "\n"
