"""Compiles kernels to PTX with nvcc."""

from __future__ import annotations

import hashlib
import subprocess
from functools import lru_cache
from pathlib import Path

from edgeirf.runtime.kernels import folder
from ptx.program import Program, parse

BUILD = Path(__file__).resolve().parents[4] / "build"


@lru_cache(maxsize=64)
def program(kernel: str, file: str, kernels: Path | None = None) -> Program:
    """The kernel as nvcc compiles it for compute capability 8.7.

    Args:
        kernel: its name.
        file: the ``.cu`` file it is in.
        kernels: folder of the sources; by default the project's own.
    """
    sources = kernels or folder()
    key = hashlib.sha256(file.encode() + b"".join(path.read_bytes() for path in sorted(sources.glob("*.cu*"))))
    out = BUILD / f"{Path(file).stem}-{key.hexdigest()[:12]}.ptx"
    if not out.exists():
        BUILD.mkdir(exist_ok=True)
        part = out.with_suffix(".part")
        command = ["nvcc", "-std=c++17", "-arch=compute_87", "-ptx", "-o", str(part), str(sources / file)]
        subprocess.run(command, check=True)
        part.rename(out)
    return parse(out.read_text(), kernel)
