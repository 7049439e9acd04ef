"""Cameras that Linux shows as /dev/video*, and the kinds of cameras that this machine can open."""

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


def check_kinds(system: System) -> Iterator[Finding]:
    """One finding for each way to open a camera; docs/cameras.md has their settings."""
    opencv = system.probe("opencv")
    if "error" not in opencv:
        yield Finding("v4l2, rtsp, http", "ok", "by OpenCV, as are videos, pictures and folders")
        if opencv.get("gstreamer"):
            yield Finding("csi, gst", "ok", "by OpenCV with GStreamer")
        else:
            yield Finding("csi, gst", "note", "need an OpenCV that is built with GStreamer, as JetPack's is")
    if any(next(system.glob(f"{place}/libaravis-0.8.so*"), None) for place in _LIBRARIES):
        yield Finding("genicam", "ok", "GigE Vision and USB3 Vision by Aravis")
    else:
        yield Finding("genicam", "note", "needs Aravis", "sudo apt install libaravis-0.8-0")


_LIBRARIES = ("/usr/lib", "/usr/lib/*", "/usr/local/lib", "/usr/local/lib/*")
