"""With what the comparison ran: command, machine, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
from pathlib import Path

PACKAGES = ("edgeirf", "onnxruntime", "openvino", "torch", "numpy", "opencv-python")
ROOT = Path(__file__).resolve().parents[2]


def provenance(arguments: list[str], threads: int) -> list[str]:
    """Lines that say how to repeat it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = [f"{name} {found}" for name in PACKAGES if (found := _version(name)) is not None]
    return [
        f"command: `{shlex.join(['python', 'benchmarks/compare.py', *arguments])}`",
        f"machine: {_processor()}, {cores} cores, {platform.system()}; graphs timed with threads = {threads}",
        f"versions: Python {platform.python_version()}, {', '.join(versions)}, commit {_commit()}",
    ]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "")
    vectors = [name for name in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_tile") if f" {name}" in flags]
    return f"{names[0] if names else platform.machine()} ({', '.join(vectors) or 'no AVX2'})"


def _commit() -> str:
    line = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
