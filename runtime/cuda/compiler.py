"""CUDA C++ to machine code for one GPU, with NVRTC or with nvcc, whichever is there.

Compiled where it runs. A driver loads code of its own major CUDA version and of older ones: code of CUDA 13 does not
load on JetPack 6, whose driver is of CUDA 12.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from edgeirf.errors import BackendError
from edgeirf.runtime.kernels import folder, headers, source
from edgeirf.runtime.kernels.ptx import shipped

OPTIONS = ("--std=c++17",)


class Compiler(Protocol):
    """One compiler.

    Attributes:
        version: name and version, part of the cache's key.
        cuda: major version of the CUDA it belongs to.
    """

    version: str
    cuda: int

    def compile(self, file: str, arch: str) -> bytes:
        """The kernels of one source file as a cubin for ``arch`` (``sm_87``).

        Raises:
            BackendError: the compiler failed.
        """
        ...


class Nvcc:
    """The toolkit's compiler, as JetPack brings it."""

    def __init__(self, program: str) -> None:
        self._program = program
        printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
        found = re.search(r"V((\d+)[\d.]+)", printed)
        if found is None:
            raise BackendError(f"{program} does not say its version: install the CUDA toolkit again")
        self.version, self.cuda = f"nvcc-{found[1]}", int(found[2])

    def compile(self, file: str, arch: str) -> bytes:
        """See :class:`Compiler`."""
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "kernels.cubin"
            command = [self._program, "-cubin", f"-arch={arch}", *OPTIONS, "-o", str(out), str(folder() / file)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode or not out.exists():
                raise BackendError(f"nvcc cannot compile {file} for {arch}: {_first_error(done.stderr)}")
            return out.read_bytes()


class Nvrtc:
    """The compiler as a library, through ``cuda-bindings``."""

    def __init__(self, nvrtc: Any) -> None:
        self._nvrtc = nvrtc
        status, major, minor = nvrtc.nvrtcVersion()
        if int(status):
            raise BackendError(f"NVRTC does not work (error {int(status)}): install nvidia-cuda-nvrtc")
        self.version, self.cuda = f"nvrtc-{major}.{minor}", int(major)

    def compile(self, file: str, arch: str) -> bytes:
        """See :class:`Compiler`."""
        nvrtc, included = self._nvrtc, headers()
        names, texts = [name.encode() for name in included], [text.encode() for text in included.values()]
        program = self._ask("nvrtcCreateProgram", source(file).encode(), file.encode(), len(names), texts, names)
        try:
            options = [option.encode() for option in (*OPTIONS, f"--gpu-architecture={arch}")]
            if int(nvrtc.nvrtcCompileProgram(program, len(options), options)[0]):
                log = bytearray(self._ask("nvrtcGetProgramLogSize", program))
                self._ask("nvrtcGetProgramLog", program, log)
                raise BackendError(
                    f"NVRTC cannot compile {file} for {arch}: {_first_error(log.decode(errors='replace'))}"
                )
            code = bytearray(self._ask("nvrtcGetCUBINSize", program))
            self._ask("nvrtcGetCUBIN", program, code)
            return bytes(code)
        finally:
            nvrtc.nvrtcDestroyProgram(program)

    def _ask(self, name: str, *arguments: Any) -> Any:
        status, *values = getattr(self._nvrtc, name)(*arguments)
        if int(status):
            raise BackendError(f"NVRTC failed in {name} (error {int(status)}): install nvidia-cuda-nvrtc again")
        return values[0] if values else None


class Shipped:
    """No compiler: the PTX of the wheel, which the driver translates for its GPU when it loads it."""

    version = "ptx"
    cuda = 12

    def compile(self, file: str, arch: str) -> bytes:
        """See :class:`Compiler`."""
        return shipped(file)


def fitting_compilers(driver_cuda: int | None = None) -> list[Compiler]:
    """Every compiler that a driver of this major CUDA version takes code of, and the shipped PTX as the last."""
    return [*(one for one in _compilers() if driver_cuda is None or one.cuda <= driver_cuda), Shipped()]


def find_compiler(driver_cuda: int | None = None) -> Compiler:
    """NVRTC where ``cuda-bindings`` and the library are installed, else nvcc.

    Args:
        driver_cuda: major CUDA version of the driver; a compiler of a later one is passed over. None takes any.

    Raises:
        BackendError: there is none that fits.
    """
    found = list(_compilers())
    fitting = [one for one in found if driver_cuda is None or one.cuda <= driver_cuda]
    if fitting:
        return fitting[0]
    version = f"=={driver_cuda}.*" if driver_cuda else ""
    advice = f"pip install 'cuda-bindings[all]{version}', or install the CUDA toolkit that fits the driver"
    if found:
        raise BackendError(f"{found[0].version} is too new for this driver, which is of CUDA {driver_cuda}: {advice}")
    raise BackendError(f"no CUDA compiler for the kernels: {advice}")


def _compilers() -> Iterator[Compiler]:
    try:
        from cuda.bindings import nvrtc

        yield Nvrtc(nvrtc)
    except Exception:  # noqa: S110 - absent, or without its library: each version raises something else
        pass
    program = shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if program is not None:
        with contextlib.suppress(BackendError):
            yield Nvcc(program)


def _first_error(log: str) -> str:
    lines = [line for line in log.splitlines() if "error" in line] or log.splitlines() or ["no reason given"]
    return " ".join(lines[0].split())
