"""Python and the libraries that every machine needs."""

from __future__ import annotations

from collections.abc import Iterator

from edgeirf.needs import OPENCV_WHEELS, SYSTEM_OPENCV, cure
from edgeirf.runtime.doctor.system import Finding, System

OLDEST_PYTHON = (3, 10)


def check(system: System) -> Iterator[Finding]:
    """Python, NumPy, OpenCV, ONNX Runtime, PyTorch."""
    yield _python(system)
    yield _library(system, "NumPy", "numpy", "numpy")
    yield _opencv(system)
    yield _onnxruntime(system)
    torch = system.installed("torch")
    if torch:
        yield Finding("PyTorch", "ok", f"{torch} (only training and exporting use it)")
    else:
        yield Finding("PyTorch", "note", "not installed; only training needs it", "pip install '.[train]'")


def _python(system: System) -> Finding:
    version, prefix = system.python
    where = f"{version} in {prefix}"
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_PYTHON:
        return Finding("Python", "fail", f"{where}; edgeirf needs 3.10 or later", "python3.10 -m venv .venv")
    return Finding("Python", "ok", where)


def _library(system: System, name: str, probe: str, distribution: str) -> Finding:
    found = system.probe(probe)
    if "error" in found:
        return Finding(name, "fail", found["error"], f"pip install --force-reinstall {distribution}")
    return Finding(name, "ok", found["version"])


def _opencv(system: System) -> Finding:
    """Which OpenCV is imported, of several that may be there, and what it can open."""
    found = system.probe("opencv")
    if error := found.get("error", ""):
        return Finding("OpenCV", "fail", error, cure("cv2", error, system.root))
    streams = "GStreamer" if found["gstreamer"] else "no GStreamer"
    opens = ", ".join([*(name for name in found["opens"] if name != "GSTREAMER"), streams])
    detail = f"{found['version']} in {found['folder']}, with NumPy {found['numpy']}; opens {opens}"
    hidden = next(system.glob(SYSTEM_OPENCV), None)
    if hidden is None or found["gstreamer"] or "dist-packages" in found["folder"]:
        return Finding("OpenCV", "ok", detail)
    # Wheels of OpenCV have no GStreamer; Debian's and JetPack's have it.
    detail += f"; it hides the system's in /{hidden.parent.relative_to(system.root)}, which may have GStreamer"
    return Finding("OpenCV", "warn", detail, f"pip uninstall -y {' '.join(OPENCV_WHEELS)}")


def _onnxruntime(system: System) -> Finding:
    found = system.probe("onnxruntime")
    if "error" in found:
        return Finding("ONNX Runtime", "fail", found["error"], "pip install --force-reinstall onnxruntime")
    detail = f"{found['version']} ({', '.join(found['providers'])})"
    if len(found["distributions"]) > 1:
        return Finding(
            "ONNX Runtime",
            "warn",
            f"{detail}; onnxruntime and onnxruntime-gpu are both installed and overwrite each other",
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu",
        )
    return Finding("ONNX Runtime", "ok", detail)
