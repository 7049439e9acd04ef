"""The libraries that the commands need are started before anything else: one that does not start is one line."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from edgeirf.errors import EdgeirfError

LIBRARIES = {"numpy": "NumPy", "cv2": "OpenCV", "onnxruntime": "ONNX Runtime"}
_DISTRIBUTIONS = {"numpy": "numpy", "cv2": "opencv-python", "onnxruntime": "onnxruntime"}
SYSTEM_OPENCV = "/usr/lib/python3*/dist-packages/cv2*"
"""Where JetPack and Debian put OpenCV's module."""
OPENCV_WHEELS = ("opencv-python", "opencv-python-headless", "opencv-contrib-python")
_NO_MEMORY = ("failed to map segment", "Cannot allocate memory", "cannot allocate memory", "MemoryError")
_BUILT_FOR_NUMPY_1 = ("_ARRAY_API", "NumPy 1.x", "multiarray", "numpy.core", "numpy.dtype size changed")


def need_runtime() -> None:
    """Imports NumPy, OpenCV and ONNX Runtime.

    Raises:
        EdgeirfError: one of them cannot be imported; the message says the cure on this machine.
    """
    for module in LIBRARIES:
        problem, said = _start(module)
        if problem is not None:
            raise EdgeirfError(not_started(module, problem, said))


def not_started(module: str, problem: Exception, said: str = "") -> str:
    """One line: which library does not start, why, and the cure on this machine.

    Args:
        module: what was imported.
        problem: what it raised.
        said: what it wrote.
    """
    top = module.split(".")[0]
    first = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
    return f"{LIBRARIES.get(top, top)} does not start ({first[:160]}): {cure(top, f'{problem} {said}')}"


def _start(module: str) -> tuple[Exception | None, str]:
    """Imports a library: what it raises, and what it writes."""
    if module in sys.modules:
        return None, ""
    with _memory_file() as kept:
        try:
            with _quiet(kept):
                importlib.import_module(module)
        except Exception as error:  # a library that is built for another one raises what it likes
            kept.seek(0)
            return error, kept.read().decode(errors="replace")
    return None, ""


def cure(module: str, problem: str, root: Path = Path("/")) -> str:
    """The cure for a library that does not start.

    Args:
        module: what was imported.
        problem: all that it said.
        root: where absolute paths begin.
    """
    if any(sign in problem for sign in _NO_MEMORY):
        return "there is not enough memory: raise the limit of this process or container, or close other programs"
    if any(sign in problem for sign in _BUILT_FOR_NUMPY_1):
        # Not another OpenCV: a Jetson's own is the one that has GStreamer.
        return "it is built for NumPy 1: pip install 'numpy<2'"
    if "libGL" in problem or "libgthread" in problem or "libglib" in problem:
        return "pip install --force-reinstall opencv-python-headless"
    if "No module named" in problem:
        system = _system_opencv(root) if module == "cv2" else None
        return system or f"pip install {_DISTRIBUTIONS.get(module, module)}"
    return f"pip install --force-reinstall {_DISTRIBUTIONS.get(module, module)}"


def _system_opencv(root: Path) -> str | None:
    """How to get at the OpenCV of a Jetson or of Debian; None where a wheel does as well."""
    if any(root.glob(SYSTEM_OPENCV.lstrip("/"))):
        return "the system's is there, and this Python does not see it: python3 -m venv --system-site-packages .venv"
    return "sudo apt install nvidia-opencv" if (root / "etc/nv_tegra_release").exists() else None


def _memory_file() -> IO[bytes]:
    """In a container that is read-only no folder takes a file."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("edgeirf"), "w+b")
    return tempfile.TemporaryFile()  # not on Linux


@contextmanager
def _quiet(kept: IO[bytes]) -> Iterator[None]:
    """Sends what is written to the error stream into ``kept``, by C code too: NumPy says in 30 lines what is one."""
    try:
        before = os.dup(2)
    except OSError:  # there is no error stream
        yield
        return
    try:
        os.dup2(kept.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
