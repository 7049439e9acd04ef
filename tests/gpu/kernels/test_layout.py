"""Argument structs and the result have the same layout in Python as in C++."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from shim import build

from edgeirf.runtime.kernels import folder, launch, layout, tables
from edgeirf.runtime.kernels.network_input import LAYOUTS

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="needs g++ to compile the structs")

STRUCTS = {
    "PreprocessArgs": layout.PREPROCESS_ARGS,
    "PostprocessArgs": layout.POSTPROCESS_ARGS,
    "OverlayArgs": layout.OVERLAY_ARGS,
    "Region": layout.REGION,
    "Result": layout.RESULT,
}
CONSTANTS = {
    "kMaxRegions": layout.MAX_REGIONS,
    "kReject": layout.REJECT,
    "kMoreRegions": layout.MORE_REGIONS,
    "kMapWritten": layout.MAP_WRITTEN,
    "kNotFinite": layout.NOT_FINITE,
    "kPlanes": LAYOUTS.index("float32"),
    "kHalfPlanes": LAYOUTS.index("float16"),
    "kHalfPixels": LAYOUTS.index("float16x4"),
    "kPreprocessThreads": launch.PREPROCESS_THREADS,
    "kThreads": launch.POSTPROCESS_THREADS,
    "kCellsPerBlock": launch.CELLS_PER_BLOCK,
    "kPanelCells": launch.PANEL_CELLS,
    "kGrid": launch.WORKSPACE_HEADER,
    "kRowGroup": tables.ROW_GROUP,
}


def assertions() -> str:
    lines = ['#include "cuda_on_cpu.h"', "#include <cstddef>", '#include "resize.cuh"', '#include "regions.cuh"']
    for struct, dtype in STRUCTS.items():
        lines.append(f'static_assert(sizeof({struct}) == {dtype.itemsize}, "size of {struct}");')
        for name, (kind, offset, *_) in dtype.fields.items():
            place = f"offsetof({struct}, {name}) == {offset} && sizeof({struct}::{name}) == {kind.itemsize}"
            lines.append(f'static_assert({place}, "{struct}.{name}");')
    lines += [f'static_assert({name} == {value}, "{name}");' for name, value in CONSTANTS.items()]
    return "\n".join(lines) + "\n"


def compiles(text: str, folder_of_test: Path) -> str:
    """What the compiler complains of, empty when it does not."""
    (folder_of_test / "layout.cpp").write_text(text)
    command = ["g++", "-std=c++17", "-fsyntax-only", "-Wno-invalid-offsetof", "-Wno-unknown-pragmas", "layout.cpp"]
    include = ["-I", str(build.HERE), "-I", str(folder())]
    return subprocess.run([*command, *include], cwd=folder_of_test, capture_output=True, text=True, check=False).stderr


def test_python_and_cpp_agree(tmp_path: Path) -> None:
    assert compiles(assertions(), tmp_path) == ""
    wrong = assertions().replace("offsetof(PostprocessArgs, labels) == ", "offsetof(PostprocessArgs, labels) == 4 + ")
    assert "PostprocessArgs.labels" in compiles(wrong, tmp_path)


def test_the_record_is_64_bytes() -> None:
    header = layout.RESULT.fields["regions"][1]
    assert layout.RECORD_BYTES == 64 == header + 2 * layout.REGION.itemsize
    assert np.dtype(layout.RESULT).itemsize % 16 == 0
