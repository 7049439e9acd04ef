"""The settings of a Jetson: JetPack, power mode, clocks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgeirf.runtime.doctor.system import Finding, System

JETPACKS = {"32": "4", "35": "5", "36": "6", "38": "7"}
"""Major release of L4T to major release of JetPack."""
_GPU_CLOCKS = ("*.gpu", "*.ga10b", "*.gv11b", "gpu-*")


def is_jetson(system: System) -> bool:
    """Whether the machine is a Jetson, inside a container or out."""
    return system.exists("/etc/nv_tegra_release") or "nvidia,tegra" in system.read("/proc/device-tree/compatible")


def check(system: System) -> Iterator[Finding]:
    """Model, JetPack, power mode, GPU clocks."""
    model = system.read("/proc/device-tree/model")
    yield Finding("Board", "ok", model or "a Jetson (its name is hidden, as in a container)")
    yield _jetpack(system)
    yield from _permission(system)
    yield from _power(system)
    yield from _clocks(system)


def _jetpack(system: System) -> Finding:
    release = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", system.read("/etc/nv_tegra_release"))
    if release is None:
        return Finding("JetPack", "note", "unknown: /etc/nv_tegra_release is missing (mount it into the container)")
    exact = re.match(r"[\d.]+\d", system.run("dpkg-query", "-W", "-f=${Version}", "nvidia-jetpack"))
    jetpack = exact[0] if exact else JETPACKS.get(release[1], "unknown")
    detail = f"{jetpack} (L4T {release[1]}.{release[2]})"
    if int(release[1]) < 36:
        return Finding(
            "JetPack",
            "warn",
            f"{detail}: its TensorRT is older than 10.3; with JetPack 6.2 or later the network runs on the GPU",
        )
    return Finding("JetPack", "ok", detail)


def _permission(system: System) -> Iterator[Finding]:
    nodes = [node for node in ("/dev/nvmap", "/dev/nvhost-ctrl-gpu") if system.exists(node)]
    if any(not system.usable(system.path(node)) for node in nodes):
        detail = "this user may not use the GPU; log in again after the command"
        yield Finding("GPU access", "warn", detail, "sudo usermod -aG video,render $USER")


def _power(system: System) -> Iterator[Finding]:
    """The mode in use, against the one without limits; everyone may read both files, ``nvpmodel -q`` wants more."""
    modes = dict(re.findall(r"<\s*POWER_MODEL ID=(\d+) NAME=(\S+)", system.read("/etc/nvpmodel.conf")))
    status = re.search(r"pmode:0*(\d+)", system.read("/var/lib/nvpmodel/status"))
    printed = re.search(r"NV Power Mode: \S+\s+(\d+)", system.run("nvpmodel", "-q"))
    current: str | None = status[1] if status else printed[1] if printed else None
    best = max((number for number in modes if modes[number].startswith("MAXN")), key=lambda n: modes[n], default=None)
    if current is None:
        yield Finding("Power mode", "note", "unknown")
    elif best is None or current == best:
        yield Finding("Power mode", "ok", modes.get(current, f"mode {current}"))
    else:
        now = modes.get(current, f"mode {current}")
        detail = f"{now}; {modes[best]} is faster if the power supply and the cooling allow it"
        yield Finding("Power mode", "warn", detail, f"sudo nvpmodel -m {best}")


def _clocks(system: System) -> Iterator[Finding]:
    folders = {path for pattern in _GPU_CLOCKS for path in system.glob(f"/sys/class/devfreq/{pattern}")}
    for folder in sorted(folders):
        name = f"/{folder.relative_to(system.root)}"
        low, high = (system.read(f"{name}/{limit}_freq") for limit in ("min", "max"))
        if not (low.isdigit() and high.isdigit()):
            continue
        mhz = f"{int(high) // 1_000_000} MHz"
        if low == high:
            yield Finding("GPU clock", "ok", f"locked at {mhz}")
        else:
            detail = (
                f"varies between {int(low) // 1_000_000} and {mhz}: the first frame after a pause is tens of ms late"
            )
            yield Finding("GPU clock", "warn", detail, "sudo jetson_clocks")
        return
