"""The sources that ``edgeirf capi`` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgeirf
from edgeirf.errors import EdgeirfError
from edgeirf.runtime.capi.sources import FOLDER, SOURCES, onnxruntime_library, write_sources


def test_the_sources_name_this_version_and_this_onnx_runtime(tmp_path: Path) -> None:
    written = write_sources(tmp_path / "embed")
    assert [path.name for path in written] == list(SOURCES)
    text = (tmp_path / "embed" / "CMakeLists.txt").read_text()
    assert f"VERSION {edgeirf.__version__} " in text
    assert f'"{onnxruntime_library() or ""}"' in text
    assert "@VERSION@" not in text
    assert (tmp_path / "embed" / "edgeirf.h").read_bytes() == (FOLDER / "edgeirf.h").read_bytes()
    assert write_sources(tmp_path / "embed") == written


def test_another_projects_files_are_kept(tmp_path: Path) -> None:
    own = tmp_path / "CMakeLists.txt"
    own.write_text("project(press)\n")
    with pytest.raises(EdgeirfError, match="is not a file of edgeirf: name an empty folder"):
        write_sources(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["CMakeLists.txt"]
    assert own.read_text() == "project(press)\n"


def test_every_source_is_in_the_package() -> None:
    present = {
        path.name for path in FOLDER.iterdir() if path.suffix not in (".py", "") or path.name == "CMakeLists.txt"
    }
    assert present == set(SOURCES)
