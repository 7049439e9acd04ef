"""The kernels of this package, loaded: compiled for the GPU at hand once, then taken from a cache."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

from edgeirf.errors import BackendError, EdgeirfError
from edgeirf.files import sha256
from edgeirf.runtime.cache import sealed
from edgeirf.runtime.cache.folder import cache_folder
from edgeirf.runtime.cuda.compiler import OPTIONS, Compiler, fitting_compilers
from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.kernels import Launch, headers, source

log = logging.getLogger("edgeirf")


class Kernels:
    """The project's kernels on one GPU. The context must be current for every method.

    Attributes:
        compilers: source file to the version of what compiled it.
    """

    def __init__(self) -> None:
        self.compilers: dict[str, str] = {}
        self._modules: dict[str, Any] = {}
        self._functions: dict[str, Any] = {}

    def load(self, context: CudaContext, files: tuple[str, ...]) -> None:
        """Loads the kernels of these sources, compiled or from the cache; the ones that are loaded stay.

        A compiler may be older than the GPU, or of another toolkit than the driver: each one is tried, and then the
        PTX of the wheel.

        Raises:
            BackendError: no compiler gives code that the driver loads.
        """
        missing = [file for file in files if file not in self._modules]
        compilers = fitting_compilers(context.cuda) if missing else []
        for file in missing:
            self._modules[file], self.compilers[file] = _load(context, file, compilers)

    def launch(self, plan: Launch, stream: Any) -> None:
        """Queues one launch; every address of ``plan.args`` must be filled in."""
        if plan.kernel not in self._functions:
            self._functions[plan.kernel] = self._modules[plan.file].get_function(plan.kernel)
        self._functions[plan.kernel](plan.args[()], grid=plan.grid, block=plan.block, stream=stream)

    def free(self) -> None:
        """Unloads them."""
        self._functions.clear()
        self._modules.clear()


def _load(context: CudaContext, file: str, compilers: list[Compiler]) -> tuple[Any, str]:
    """The module, and the version of the compiler whose code the driver took."""
    reasons = []
    for compiler in compilers:
        try:
            code = machine_code(file, context.arch, compiler)
            return context.driver.module_from_buffer(code), compiler.version
        except (BackendError, context.driver.Error) as error:
            if isinstance(error, context.driver.MemoryError):
                raise
            reasons.append(f"{compiler.version}: {' '.join(str(error).split())}")
            log.info("%s for %s: %s", file, context.arch, reasons[-1])
    raise BackendError(f"the kernels do not run on {context.name} ({context.arch}): {'; '.join(reasons)}")


def machine_code(file: str, arch: str, compiler: Compiler) -> bytes:
    """The cubin of one source file for ``arch``, compiled unless the cache has it.

    The cache's key is a hash of the source, its headers, the architecture and the compiler with its version and
    options; a damaged file in the cache is compiled again.

    Raises:
        BackendError: the compiler failed.
    """
    text = "\0".join([source(file), *headers().values(), arch, compiler.version, *OPTIONS])
    name = f"{Path(file).stem}-{arch}-{sha256(text.encode())[:24]}.cubin"
    # A cache that cannot be used, damaged or read-only, only costs a second at every start.
    with contextlib.suppress(EdgeirfError, OSError):
        return sealed.read(sealed.private_folder(cache_folder() / "kernels") / name)[1]
    code = compiler.compile(file, arch)
    with contextlib.suppress(EdgeirfError):
        path = sealed.private_folder(cache_folder() / "kernels") / name
        sealed.write(path, {"file": file, "arch": arch, "compiler": compiler.version}, code)
    return code
