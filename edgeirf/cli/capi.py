"""``edgeirf capi``: the sources of the C library."""

from __future__ import annotations

from pathlib import Path

import typer

from edgeirf.cli.console import echo

NAME = "capi"


def main(folder: Path = typer.Argument(..., metavar="DIR", help="Folder to write the sources to.")) -> None:
    """Write the C library and its hosts in C++ and C# as sources: a header, one C++ file, and a CMakeLists.txt."""
    from edgeirf.runtime.capi.sources import onnxruntime_library, write_sources

    for path in write_sources(folder):
        echo(str(path))
    library = onnxruntime_library()
    echo(f"ONNX Runtime: {library or 'not installed here: pip install onnxruntime'}")
    echo(f"build: cmake -S {folder} -B {folder}/build && cmake --build {folder}/build")
