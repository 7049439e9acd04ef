"""The environment in which the real pycuda runs on the stand-in driver."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import build_driver
import build_pycuda
from shim import build as build_kernels

from edgeirf.runtime.kernels import folder

HERE = Path(__file__).resolve().parent


def environment(kernels: Path, cache: Path) -> dict[str, str]:
    """Variables for a child process; builds pycuda and the driver first where they are missing.

    Args:
        kernels: library whose kernels the driver runs: :func:`real_kernels` or :func:`hollow_kernels`.
        cache: folder for the cubins that the runtime compiles.

    Raises:
        build_pycuda.Unavailable: pycuda cannot be had here.
    """
    pycuda = build_pycuda.pycuda()
    driver = build_driver.driver(pycuda, build_pycuda.toolkit())
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(pycuda), str(HERE.parent / "on_driver" / "inside")]),
        "LD_LIBRARY_PATH": f"{driver}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":"),
        "STANDIN_KERNELS": str(kernels),
        "EDGEIRF_STANDIN": "1",
        "EDGEIRF_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
    }


def real_kernels() -> Path:
    """The project's kernels compiled by g++: every access is checked against the driver's allocations."""
    return build_kernels.library()


def hollow_kernels() -> Path:
    """Kernels that only count: for the tests that run the chain hundreds of times."""
    final = build_driver.BUILD / "hollow-kernels.so"
    source = HERE / "hollow" / "kernels.cpp"
    newest = max(path.stat().st_mtime for path in (source, *folder().glob("*.cuh")))
    if not final.exists() or final.stat().st_mtime < newest:
        with tempfile.TemporaryDirectory(dir=build_driver.BUILD) as scratch:
            out = Path(scratch) / "out"
            subprocess.run(["g++", "-std=c++17", "-shared", "-fPIC", "-I", folder(), "-o", out, source], check=True)
            out.rename(final)
    return final
