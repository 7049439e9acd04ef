"""Processor, memory, disk and the engine cache."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from edgeirf.errors import EdgeirfError
from edgeirf.runtime.doctor.system import Finding, System

LOW_DISK = 2 * 1024**3
LOW_MEMORY = 1024**3
_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "VNNI",
    "avx_vnni": "VNNI",
    "amx_int8": "AMX",
    "asimddp": "dot product",
    "i8mm": "INT8 matrices",
}


def check(system: System) -> Iterator[Finding]:
    """Processor, memory, engine cache, disk."""
    yield _processor(system)
    yield from _governor(system)
    yield from _memory(system)
    yield from _cache(system)


def _processor(system: System) -> Finding:
    info = system.read("/proc/cpuinfo")
    flags = set(" ".join(re.findall(r"^(?:flags|Features)\s*:(.*)$", info, re.MULTILINE)).split())
    name = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", info, re.MULTILINE)
    has = dict.fromkeys(label for flag, label in _FEATURES.items() if flag in flags)
    detail = f"{system.cores} core{'s' if system.cores > 1 else ''} to use"
    if system.cpu_quota is not None:
        detail += f", the container's CPU quota allows {system.cpu_quota:g}"
    return Finding("Processor", "ok", ", ".join([*([name[1].strip()] if name else []), detail, *has]))


def _governor(system: System) -> Iterator[Finding]:
    governor = system.read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor == "powersave" and system.read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver") != "intel_pstate":
        # intel_pstate's powersave still goes up to full speed.
        detail = "the governor powersave keeps the processor at its lowest clock"
        yield Finding("CPU clock", "warn", detail, "sudo cpupower frequency-set -g performance")


def _memory(system: System) -> Iterator[Finding]:
    info = dict(re.findall(r"^(\w+):\s+(\d+) kB", system.read("/proc/meminfo"), re.MULTILINE))
    if not {"MemTotal", "MemAvailable"} <= set(info):
        return
    total, free = (1024 * int(info[key]) for key in ("MemTotal", "MemAvailable"))
    detail = f"{_size(free)} of {_size(total)} free"
    if free < LOW_MEMORY:
        yield Finding("Memory", "warn", f"{detail}: building an engine needs more; end other programs first")
    else:
        yield Finding("Memory", "ok", detail)


def _cache(system: System) -> Iterator[Finding]:
    from edgeirf.runtime.cache.folder import cache_folder

    try:
        folder = cache_folder(system.environment)
    except EdgeirfError as error:
        yield Finding("Engine cache", "warn", str(error), "export EDGEIRF_CACHE=/var/cache/edgeirf")
        return
    yield _engines(system, folder / "engines")
    free = system.free_bytes(folder)
    if free < LOW_DISK:
        yield Finding("Disk", "warn", f"{_size(free)} free for {folder}: engines and records need more")
    else:
        yield Finding("Disk", "ok", f"{_size(free)} free for {folder}")


def _engines(system: System, folder: Path) -> Finding:
    name = "Engine cache"
    if not folder.exists():
        above = folder
        while not above.exists():
            above = above.parent
        if system.writable(above):
            return Finding(name, "ok", f"{folder}, empty")
        return Finding(name, "warn", f"{folder} cannot be created", "export EDGEIRF_CACHE=$HOME/edgeirf")
    state = folder.stat()
    if state.st_uid != os.geteuid():
        return Finding(name, "warn", f"{folder} belongs to another user", "export EDGEIRF_CACHE=$HOME/edgeirf")
    if stat.S_IMODE(state.st_mode) & 0o022:
        return Finding(name, "warn", f"others can write to {folder}, where programs are kept", f"rm -r {folder}")
    sizes = [path.stat().st_size for path in folder.glob("*.engine")]
    return Finding(name, "ok", f"{folder}, {len(sizes)} engine{'' if len(sizes) == 1 else 's'}, {_size(sum(sizes))}")


def _size(count: int) -> str:
    return f"{count / 1024**3:.1f} GB" if count >= 1024**3 else f"{count / 1024**2:.0f} MB"
