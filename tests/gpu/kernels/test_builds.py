"""Every kernel compiles for every GPU the project names, within limits that keep enough threads on a multiprocessor.

At most 64 registers a thread (1024 threads then fit), nothing spilled to memory, at most 48 KiB of shared memory.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ptx.build import BUILD

from edgeirf.runtime.kernels import SOURCES, folder, headers, source

ARCHITECTURES = (75, 80, 86, 87, 89, 90, 100, 110, 120)
"""Turing, A100, desktop Ampere, Orin, Ada, Hopper, B100, Thor, desktop Blackwell."""


def check(log: str, kernels: tuple[str, ...]) -> None:
    """Reads ptxas's report."""
    found = set()
    for part in re.split(r"Compiling entry function", log)[1:]:
        name = re.match(r" '(\w+)'", part)
        assert name is not None
        found.add(name[1])
        registers = re.search(r"Used (\d+) registers", part)
        shared = re.search(r"(\d+) bytes smem", part)
        spills = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part)
        assert registers is not None
        assert spills is not None
        assert int(registers[1]) <= 64, name[1]
        assert spills.groups() == ("0", "0", "0"), name[1]
        assert shared is None or int(shared[1]) <= 48 * 1024, name[1]
    assert found == set(kernels)


def nvcc_report(file: str, architecture: int) -> str:
    """ptxas's report; kept in the build folder, for the compiler takes seconds."""
    text = source(file) + "".join(headers().values())
    kept = BUILD / f"ptxas-{Path(file).stem}-{architecture}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.txt"
    if not kept.exists():
        BUILD.mkdir(exist_ok=True)
        flags = ["-std=c++17", f"-arch=sm_{architecture}", "-cubin", "-Xptxas", "-v", "-Werror", "all-warnings"]
        command = ["nvcc", *flags, "-o", str(kept.with_suffix(".cubin")), str(folder() / file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        kept.with_suffix(".cubin").unlink()
        kept.write_text(done.stderr)
    return kept.read_text()


@pytest.mark.skipif(not shutil.which("nvcc"), reason="needs nvcc")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("file", SOURCES)
def test_nvcc(file: str, architecture: int) -> None:
    check(nvcc_report(file, architecture), SOURCES[file])


@pytest.mark.parametrize("architecture", [75, 87])
@pytest.mark.parametrize("file", SOURCES)
def test_nvrtc(file: str, architecture: int) -> None:
    """Without a toolkit, a driver, or any header but the project's own."""
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="needs cuda-bindings and nvidia-cuda-nvrtc")
    try:
        nvrtc.nvrtcVersion()
    except Exception as error:  # the bindings are there without their library: each version raises something else
        pytest.skip(f"needs libnvrtc of nvidia-cuda-nvrtc: {error}")
    included = headers()
    names, texts = [name.encode() for name in included], [text.encode() for text in included.values()]
    _, program = nvrtc.nvrtcCreateProgram(source(file).encode(), file.encode(), len(names), texts, names)
    options = [b"--std=c++17", f"--gpu-architecture=sm_{architecture}".encode(), b"--ptxas-options=-v"]
    status = nvrtc.nvrtcCompileProgram(program, len(options), options)[0]
    log = bytearray(nvrtc.nvrtcGetProgramLogSize(program)[1])
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(program)
    assert status == nvrtc.nvrtcResult.NVRTC_SUCCESS, log.decode()
    check(log.decode(), SOURCES[file])


def test_the_limits_are_noticed() -> None:
    good = (
        "Compiling entry function 'overlay' for 'sm_87'\n    0 bytes stack frame, 0 bytes spill stores, "
        "0 bytes spill loads\nptxas info    : Used 25 registers, 512 bytes smem\n"
    )
    check(good, ("overlay",))
    for old, new in (("25 reg", "65 reg"), ("0 bytes spill stores", "4 bytes spill stores"), ("512", "49153")):
        with pytest.raises(AssertionError):
            check(good.replace(old, new), ("overlay",))
    with pytest.raises(AssertionError):
        check(good, ("overlay", "another"))
