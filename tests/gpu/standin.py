"""The environment in which the real pycuda runs on the stand-in driver."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def beside(name: str, folder: Path = HERE) -> ModuleType:
    """The module in the file ``name``.py of this folder; tests are no package."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def unavailable() -> str | None:
    """Why the stand-in cannot be used here, or None; builds nothing."""
    for tool in ("g++", "nvcc"):
        if not shutil.which(tool):
            return f"needs {tool}"
    return None


def environment(cache: Path) -> dict[str, str]:
    """Variables for a child process; builds pycuda, the driver and the kernels first where they are missing.

    Args:
        cache: folder for compiled kernels.

    Raises:
        build_pycuda.Unavailable: pycuda cannot be had.
    """
    build = beside("build_pycuda")
    pycuda, toolkit = build.pycuda(), build.toolkit()
    driver: Path = beside("build_driver").driver(pycuda, toolkit)
    kernels: Path = beside("build_kernels").kernels()
    return {
        **os.environ,
        "PYTHONPATH": str(pycuda),
        "LD_LIBRARY_PATH": f"{driver}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":"),
        "STANDIN_KERNELS": str(kernels),
        "EDGEIRF_STANDIN": "1",
        "EDGEIRF_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
    }
