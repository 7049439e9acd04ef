"""Writes the C library's sources where a C++ or C# project can build them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import edgeirf
from edgeirf.errors import EdgeirfError
from edgeirf.files import write_text

FOLDER = Path(__file__).parent
SOURCES = ("edgeirf.h", "edgeirf.cpp", "CMakeLists.txt", "edgeirf.pc.in", "host.cpp", "Edgeirf.cs", "Host.cs")


def write_sources(folder: Path) -> list[Path]:
    """Writes the sources into ``folder``; equal files of an earlier call are replaced.

    ``CMakeLists.txt`` names the ONNX Runtime of this Python, so that a program that is built on this machine finds it.

    Args:
        folder: is created where it does not exist.

    Returns:
        What was written.

    Raises:
        EdgeirfError: the folder cannot be written, or holds a file of another origin under one of the names.
    """
    for name in SOURCES:
        _check_ours(folder / name)
    library = onnxruntime_library()
    facts = {"@VERSION@": edgeirf.__version__, "@ONNXRUNTIME@": library.as_posix() if library else ""}
    for name in SOURCES:
        text = (FOLDER / name).read_text()
        for key, value in facts.items() if name == "CMakeLists.txt" else ():
            text = text.replace(key, value)
        write_text(folder / name, text)
    return [folder / name for name in SOURCES]


def onnxruntime_library() -> Path | None:
    """The shared library inside the installed package ``onnxruntime``; None where there is none.

    >>> library = onnxruntime_library()
    >>> library is None or "onnxruntime" in library.name
    True
    """
    package = importlib.util.find_spec("onnxruntime")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / "capi"
    names = ("libonnxruntime.so*", "libonnxruntime*.dylib", "onnxruntime.dll")
    return next((path for name in names for path in sorted(folder.glob(name))), None)


def _check_ours(path: Path) -> None:
    """Passes a name that is free or holds an earlier version of our file: a user's own CMakeLists.txt is kept."""
    if path.exists() and "edgeirf" not in path.read_text(errors="replace")[:400].lower():
        raise EdgeirfError(f"{path} is not a file of edgeirf: name an empty folder")
