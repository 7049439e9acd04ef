"""Cameras that Linux shows as /dev/video*."""

from __future__ import annotations

from collections.abc import Iterator

from edgeirf.runtime.doctor.system import Finding, System


def check(system: System) -> Iterator[Finding]:
    """One finding a camera; USB cameras have further nodes for metadata, which are left out."""
    found = False
    for device in system.glob("/dev/video*"):
        number = device.name.removeprefix("video")
        index = system.read(f"/sys/class/video4linux/{device.name}/index")
        if not number.isdigit() or index not in ("", "0"):
            continue
        found = True
        name = system.read(f"/sys/class/video4linux/{device.name}/name") or "a camera"
        if system.usable(device):
            yield Finding(f"Camera {number}", "ok", name)
        else:
            detail = f"{name}: this user may not open /dev/{device.name}; log in again after the command"
            yield Finding(f"Camera {number}", "warn", detail, "sudo usermod -aG video $USER")
    if not found:
        yield Finding("Camera", "note", "none on USB or CSI; streams, videos and folders need none")
