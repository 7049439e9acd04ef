"""Builds pycuda from its source distribution into ``build/``, once: ``python tests/gpu/emulators/build_pycuda.py``.

pycuda has no wheels, and its own set-up looks for the toolkit beside ``nvcc``, which is wrong where ``nvcc`` is a
script. No GPU and no driver are needed: it is linked against an empty library that carries the driver's name.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "2026.1"
BUILD = Path(__file__).resolve().parents[3] / "build"


class Unavailable(Exception):
    """pycuda cannot be had on this machine; the message is the reason a test is skipped with."""


def toolkit() -> Path:
    """The folder of the CUDA toolkit that ``nvcc`` belongs to, the one with ``include/cuda.h``."""
    if not shutil.which("nvcc"):
        raise Unavailable("no nvcc")
    dry = subprocess.run(["nvcc", "--dryrun", "x.cu"], capture_output=True, text=True, check=False)
    named = re.search(r"^#\$ TOP=(.+)$", dry.stderr, re.MULTILINE)
    root = Path(named[1]).resolve() if named else None
    if root is None or not (root / "include" / "cuda.h").exists():
        raise Unavailable("nvcc names no toolkit folder with include/cuda.h")
    return root


def pycuda() -> Path:
    """The folder to put on PYTHONPATH; built first where it is not there yet (about two minutes).

    Raises:
        Unavailable: no compiler, no toolkit, or the source cannot be downloaded.
    """
    root = toolkit()
    if not shutil.which("g++"):
        raise Unavailable("no g++")
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    final = BUILD / f"pycuda-{VERSION}-{tag}-{root.name}"
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "pycuda.lock").open("w") as lock:  # two pytest processes build it once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not final.exists():
            with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
                _build(root, Path(scratch)).rename(final)
    return final


def _build(root: Path, scratch: Path) -> Path:
    link, target = scratch / "link", scratch / "target"
    link.mkdir()
    subprocess.run(
        ["gcc", "-shared", "-o", link / "libcuda.so", "-Wl,-soname,libcuda.so.1", "-x", "c", os.devnull], check=True
    )
    (scratch / ".aksetup-defaults.py").write_text(f"CUDA_ROOT = {str(root)!r}\nCUDA_ENABLE_CURAND = False\n")
    environment = {
        **os.environ,
        "HOME": str(scratch),  # where pycuda's set-up reads its defaults
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "LIBRARY_PATH": str(link),
        "LDFLAGS": "-Wl,--no-as-needed",
        "CFLAGS": "-O1 -g0 -w",
    }
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-warn-conflicts", "--target", str(target)]
    done = subprocess.run(
        [*pip, "--no-binary", "pycuda", f"pycuda=={VERSION}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"pycuda {VERSION} does not build: {done.stderr.strip().splitlines()[-1]}")
    return target


if __name__ == "__main__":
    print(pycuda())
