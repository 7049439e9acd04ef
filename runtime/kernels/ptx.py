"""The kernels as PTX, shipped in the wheel: where no compiler fits the GPU, the driver translates them itself.

``python -m edgeirf.runtime.kernels.ptx`` writes them anew, with nvcc 13.0 on PATH; a test compares them with the
sources.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from edgeirf.files import sha256, write_text
from edgeirf.runtime.kernels import SOURCES, folder, headers, source

ARCHITECTURE, ISA = "compute_75", "8.3"
"""Turing, so that every GPU since can take it; the PTX of CUDA 12.3, so that drivers of CUDA 12 can read it.

nvcc writes the version of its own CUDA, which older drivers refuse; ptxas confirms that the code needs no later one.
"""


def shipped(file: str) -> bytes:
    """The PTX of one source file, ended by a zero byte as the driver wants it."""
    return (folder() / file).with_suffix(".ptx").read_bytes() + b"\0"


def sources_hash(file: str) -> str:
    """SHA-256 of a source file and the headers, as the first line of its PTX states it."""
    return sha256("\0".join([source(file), *headers().values()]).encode())


def compile_ptx(file: str, nvcc: str = "nvcc") -> str:
    """The PTX of one source file.

    Raises:
        subprocess.CalledProcessError: nvcc fails.
    """
    command = [nvcc, "-std=c++17", f"-arch={ARCHITECTURE}", "-ptx", "-o", "-", str(folder() / file)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    text = re.sub(r"(?m)^\.version .*$", f".version {ISA}", text)
    return f"// SHA-256 of {file} and the headers: {sources_hash(file)}\n{text}"


def write(target: Path) -> None:
    """Writes the PTX of all sources into a folder."""
    for file in SOURCES:
        write_text((target / file).with_suffix(".ptx"), compile_ptx(file))


if __name__ == "__main__":
    write(folder())
