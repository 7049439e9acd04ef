"""``edgeirf capi``: what it writes and says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgeirf.runtime.capi.sources import SOURCES


def test_the_sources_and_the_next_command(edgeirf_command: Callable[..., object], tmp_path: Path) -> None:
    ran = edgeirf_command("capi", tmp_path / "embed")
    assert ran.code == 0
    assert ran.err == ""
    *files, library, build = ran.out.splitlines()
    assert [Path(file).name for file in files] == list(SOURCES)
    assert all(Path(file).is_file() for file in files)
    assert library.startswith("ONNX Runtime: ")
    assert build.startswith(f"build: cmake -S {tmp_path / 'embed'} ")


def test_a_folder_of_another_project(edgeirf_command: Callable[..., object], tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text("project(press)")
    ran = edgeirf_command("capi", tmp_path)
    assert ran.code == 1
    assert ran.err == f"edgeirf: {tmp_path / 'CMakeLists.txt'} is not a file of edgeirf: name an empty folder\n"
