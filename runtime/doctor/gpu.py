"""NVIDIA GPU, driver, TensorRT, pycuda, and the compiler of the CUDA kernels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from edgeirf.runtime.doctor.system import Finding, System

NVIDIA = "0x10de"
DISPLAY = "0x03"
NVCC = "PATH=/usr/local/cuda/bin:$PATH "
_COLUMNS = "name,compute_cap,driver_version,memory.total,persistence_mode"


def check(system: System, jetson: bool) -> Iterator[Finding]:
    """The GPU and all that TensorRT needs to run on it.

    Args:
        jetson: the machine is a Jetson, whose driver and TensorRT come with JetPack.
    """
    card, driver = find_card(system), find_driver(system)
    present = jetson or is_present(system)
    yield _driver(system, jetson, card, driver)
    if present and not jetson:
        yield from _persistence(system)
    opened = system.probe("gpu")
    yield _gpu(opened, present, bool(driver) or jetson)
    yield _tensorrt(system, jetson, present)
    yield _pycuda(system, opened, jetson, present)
    yield _compiler(system, present)


def is_present(system: System) -> bool:
    """Whether a desktop, server or WSL has an NVIDIA GPU, working or not."""
    return find_card(system) or bool(find_driver(system)) or system.exists("/dev/dxg")


def find_card(system: System) -> bool:
    """Whether an NVIDIA GPU sits in the machine, driver or not."""
    return any(
        system.read(f"/{vendor.relative_to(system.root)}") == NVIDIA
        and system.read(f"/{vendor.with_name('class').relative_to(system.root)}").startswith(DISPLAY)
        for vendor in system.glob("/sys/bus/pci/devices/*/vendor")
    )


def find_driver(system: System) -> str:
    """Version of the loaded kernel driver; empty when there is none (as on WSL, where Windows has it)."""
    found = re.search(r"Kernel Module\S*\s+(?:for \S+\s+)?([\d.]+)", system.read("/proc/driver/nvidia/version"))
    return found[1] if found else ""


def _driver(system: System, jetson: bool, card: bool, driver: str) -> Finding:
    name = "NVIDIA driver"
    if driver:
        if not jetson and system.exists("/.dockerenv") and not system.exists("/dev/nvidiactl"):
            detail = f"{driver} outside, but this container may not use the GPU"
            return Finding(name, "warn", detail, "docker run --gpus all ...")
        return Finding(name, "ok", driver)
    if jetson:
        return Finding(name, "ok", "JetPack's")
    if system.exists("/dev/dxg"):
        return Finding(name, "ok", "of Windows (WSL)")
    if not card:
        return Finding(name, "note", "no NVIDIA GPU in this machine; the network runs on the CPU")
    nouveau = " (nouveau runs it, which cannot compute)" if system.exists("/sys/module/nouveau") else ""
    return Finding(name, "warn", f"there is an NVIDIA GPU but no driver{nouveau}", "sudo ubuntu-drivers install")


def _persistence(system: System) -> Iterator[Finding]:
    printed = system.run("nvidia-smi", f"--query-gpu={_COLUMNS}", "--format=csv,noheader").splitlines()
    for index, line in enumerate(printed):
        fields = [part.strip() for part in line.split(",")]
        if len(fields) == 5:
            detail = f"{fields[0]}, compute capability {fields[1]}, {fields[3]}"
            if fields[4] == "Disabled" and not system.exists("/dev/dxg"):
                detail += "; the driver unloads when nothing uses it, and the first frame waits"
                yield Finding(f"Card {index}", "warn", detail, "sudo nvidia-smi -pm 1")
            else:
                yield Finding(f"Card {index}", "ok", detail)


def _gpu(opened: dict[str, Any], present: bool, driver: bool) -> Finding:
    if "error" not in opened:
        return Finding("GPU", "ok", f"{opened['name']} ({opened['sm']}), driver for CUDA {opened['cuda']}")
    if not present:
        return Finding("GPU", "note", "none")
    # Without pycuda the GPU may be in perfect health: that is pycuda's line.
    if "pycuda" in opened["error"]:
        return Finding("GPU", "note", "not opened: pycuda is missing")
    # After an update of the driver the loaded one and the libraries differ until the next start.
    return Finding("GPU", "warn", opened["error"], "sudo reboot" if driver else None)


def _tensorrt(system: System, jetson: bool, present: bool) -> Finding:
    name, found = "TensorRT", system.probe("tensorrt")
    if "error" not in found:
        return Finding(name, "ok", found["label"])
    error = found["error"]
    if not present:
        absent = "not installed, and" if "not installed" in error else "it is"
        return Finding(name, "note", f"{absent} of no use without an NVIDIA GPU")
    if jetson and "not installed" in error:
        if any(system.glob("/usr/lib/python3*/dist-packages/tensorrt")) and system.in_virtual_environment:
            detail = "JetPack's is there, but this virtual environment does not see it"
            return Finding(name, "warn", detail, "python3 -m venv --system-site-packages .venv")
        return Finding(name, "warn", "not installed", "sudo apt install nvidia-jetpack")
    if "built for CUDA" in error:
        reason, _, fix = error.partition(": ")
        return Finding(name, "warn", reason, fix)
    if "too old" in error:
        return Finding(
            name, "warn", error, "sudo apt full-upgrade" if jetson else "pip install --upgrade tensorrt-cu12"
        )
    if "not installed" in error:
        return Finding(name, "warn", "not installed", f"pip install 'edgeirf[tensorrt-cu{_cuda(system)}]'")
    return Finding(name, "warn", error, f"pip install --force-reinstall tensorrt-cu{_cuda(system)}")


def _cuda(system: System) -> str:
    """Major CUDA version of the wheels that fit the driver: those of CUDA 12 run on every driver since."""
    found = re.match(r"\d+", str(system.probe("gpu").get("cuda", "")))
    return "13" if found and int(found[0]) >= 13 else "12"


def _pycuda(system: System, opened: dict[str, Any], jetson: bool, present: bool) -> Finding:
    version = system.installed("pycuda")
    if version:
        return Finding("pycuda", "ok", version)
    if not present:
        return Finding("pycuda", "note", "not installed, and of no use without an NVIDIA GPU")
    toolkit = system.exists("/usr/local/cuda/bin/nvcc")
    if jetson and not toolkit:
        detail = "not installed; it builds against the CUDA toolkit, which is missing"
        return Finding("pycuda", "warn", detail, "sudo apt install nvidia-jetpack")
    # pycuda finds the toolkit by nvcc alone, and JetPack does not put that on PATH.
    return Finding("pycuda", "warn", "not installed", f"{NVCC if toolkit else ''}pip install pycuda")


def _compiler(system: System, present: bool) -> Finding:
    found = system.probe("compiler")
    if "error" not in found:
        return Finding("CUDA compiler", "ok", found["version"])
    if not present:
        return Finding("CUDA compiler", "note", "none, and of no use without an NVIDIA GPU")
    return Finding("CUDA compiler", "ok", "none; the driver translates the kernels' PTX from the wheel")
