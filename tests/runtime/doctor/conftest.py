"""Machines that are made up: files in a folder, answers in tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgeirf.runtime.doctor import System

L4T = (
    "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025"
)
NVPMODEL = """
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=1 NAME=25W >
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
< PM_CONFIG DEFAULT=1 >
"""
CPUINFO = """processor\t: 0
model name\t: Intel(R) Core(TM) i7-12700
flags\t\t: fpu sse avx2 avx_vnni
"""
SOFTWARE = {
    "numpy": {"version": "2.2.6"},
    "opencv": {
        "version": "4.12.0",
        "gstreamer": True,
        "folder": "/usr/lib/python3.10/dist-packages/cv2",
        "numpy": "1.26.4",
        "opens": ["V4L2", "GSTREAMER", "FFMPEG"],
    },
    "onnxruntime": {"version": "1.23.2", "providers": ["CPU"], "distributions": ["onnxruntime"]},
}
NO_GPU = {
    "gpu": {"error": "pycuda is not installed: pip install pycuda (needs the CUDA toolkit)"},
    "tensorrt": {"error": "tensorrt is not installed: pip install tensorrt (on a Jetson it comes with JetPack)"},
    "compiler": {"error": "no CUDA compiler for the kernels"},
}
ORIN = {
    "gpu": {"name": "Orin", "sm": "SM87", "cuda": "12.6"},
    "tensorrt": {"label": "TensorRT 10.3.0", "flavour": "tensorrt", "version": "10.3.0"},
    "compiler": {"version": "nvcc-12.6.68"},
}
ADA = {**ORIN, "gpu": {"name": "NVIDIA RTX 4000 Ada", "sm": "SM89", "cuda": "12.8"}}

BASE_FILES = {"/proc/cpuinfo": CPUINFO, "/proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable: 12000000 kB\n"}
JETSON_FILES = {
    **BASE_FILES,
    "/etc/nv_tegra_release": L4T,
    "/proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "/etc/nvpmodel.conf": NVPMODEL,
    "/var/lib/nvpmodel/status": "pmode:0002",
    "/sys/class/devfreq/17000000.gpu/min_freq": "1020000000",
    "/sys/class/devfreq/17000000.gpu/max_freq": "1020000000",
    "/dev/nvmap": "",
    "/usr/local/cuda/bin/nvcc": "",
}
CARD_FILES = {
    **BASE_FILES,
    "/sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de",
    "/sys/bus/pci/devices/0000:01:00.0/class": "0x030000",
}
DESKTOP_FILES = {
    **CARD_FILES,
    "/proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15\nGCC version:",
    "/dev/nvidiactl": "",
}


@dataclass
class MadeUp(System):
    """A :class:`System` that answers from tables."""

    commands: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    unusable: frozenset[str] = frozenset()
    free: int = 50 * 1024**3
    interpreter: str = "3.10.12"
    virtual: bool = True

    def run(self, *command: str) -> str:
        return self.commands.get(command[0], "")

    def probe(self, what: str) -> dict[str, Any]:
        return dict(self.answers[what])

    def installed(self, distribution: str) -> str:
        return self.packages.get(distribution, "")

    def usable(self, path: Path) -> bool:
        return path.name not in self.unusable

    def free_bytes(self, path: Path) -> int:
        return self.free

    @property
    def cores(self) -> int:
        return 6

    @property
    def python(self) -> tuple[str, str]:
        return self.interpreter, "/home/line/.venv"

    @property
    def in_virtual_environment(self) -> bool:
        return self.virtual


MakeMachine = Callable[..., MadeUp]


@pytest.fixture
def machine(tmp_path: Path) -> MakeMachine:
    """``machine(files, answers, **what else)``: paths and contents below a root of its own, and what probes say."""

    def make(files: Mapping[str, str], answers: Mapping[str, Mapping[str, Any]], **rest: Any) -> MadeUp:
        root = tmp_path / "root"
        for name, text in files.items():
            path = root / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        environment = rest.pop("environment", {"EDGEIRF_CACHE": str(tmp_path / "cache")})
        return MadeUp(root=root, environment=environment, answers={**SOFTWARE, **answers}, **rest)

    return make


@pytest.fixture
def plain(machine: MakeMachine) -> MakeMachine:
    """``plain(files, answers, **what else)``: changes to an office computer without an NVIDIA GPU."""
    return lambda files={}, answers={}, **rest: machine({**BASE_FILES, **files}, {**NO_GPU, **answers}, **rest)


@pytest.fixture
def jetson(machine: MakeMachine) -> MakeMachine:
    """``jetson(files, answers, **what else)``: changes to an Orin Nano in perfect order."""

    def make(files: Mapping[str, str] = {}, answers: Mapping[str, Any] = {}, **rest: Any) -> MadeUp:
        return machine({**JETSON_FILES, **files}, {**ORIN, **answers}, **{"packages": {"pycuda": "2025.1"}, **rest})

    return make


@pytest.fixture
def card(machine: MakeMachine) -> MakeMachine:
    """``card(files, answers, **what else)``: changes to a desktop with an NVIDIA GPU but no driver, nothing else."""
    return lambda files={}, answers={}, **rest: machine({**CARD_FILES, **files}, {**NO_GPU, **answers}, **rest)


@pytest.fixture
def desktop(machine: MakeMachine) -> MakeMachine:
    """``desktop(files, answers, **what else)``: changes to a desktop with a GPU in perfect order."""

    def make(files: Mapping[str, str] = {}, answers: Mapping[str, Any] = {}, **rest: Any) -> MadeUp:
        smi = {"nvidia-smi": "NVIDIA RTX 4000 Ada, 8.9, 570.86.15, 20475 MiB, Enabled"}
        given = {"packages": {"pycuda": "2025.1", "torch": "2.9.0"}, "commands": smi, **rest}
        return machine({**DESKTOP_FILES, **files}, {**ADA, **answers}, **given)

    return make
