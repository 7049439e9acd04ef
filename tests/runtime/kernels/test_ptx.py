"""The PTX of the wheel is that of the sources, and every GPU from Turing on can take it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgeirf.runtime.kernels import SOURCES
from edgeirf.runtime.kernels.ptx import ISA, compile_ptx, shipped, sources_hash


def compiler_of(text: str) -> str:
    found = re.search(r"V([\d.]+)", text)
    return found[1] if found else ""


@pytest.mark.parametrize("file", SOURCES)
def test_it_is_of_these_sources(file: str) -> None:
    text = shipped(file).decode()
    assert text.endswith("\0")
    assert sources_hash(file) in text.splitlines()[0], "run `make ptx`"
    assert f"\n.version {ISA}\n.target sm_75\n" in text
    assert set(re.findall(r"\.visible \.entry (\w+)", text)) == set(SOURCES[file])


@pytest.mark.skipif(not shutil.which("nvcc"), reason="needs nvcc")
@pytest.mark.parametrize("file", SOURCES)
def test_compiling_it_again_gives_the_same_text(file: str) -> None:
    kept = shipped(file).decode().rstrip("\0")
    again = compile_ptx(file)
    if compiler_of(again) != compiler_of(kept):
        pytest.skip(f"the wheel's PTX is of nvcc {compiler_of(kept)}, this is {compiler_of(again)}")
    assert again == kept


@pytest.mark.skipif(not shutil.which("ptxas"), reason="needs ptxas")
@pytest.mark.parametrize("arch", ["sm_75", "sm_87", "sm_110", "sm_120"])
def test_it_translates_for_every_gpu(arch: str, tmp_path: Path) -> None:
    """ptxas refuses what the stated version of PTX does not have."""
    for file in SOURCES:
        text = tmp_path / "kernels.ptx"
        text.write_bytes(shipped(file).rstrip(b"\0"))
        subprocess.run(["ptxas", f"-arch={arch}", "-o", str(tmp_path / "out"), str(text)], check=True)
