"""The kernels of this package, loaded: compiled for the GPU at hand once, then taken from a cache."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from edgeirf.errors import EdgeirfError
from edgeirf.files import sha256
from edgeirf.runtime.cache import sealed
from edgeirf.runtime.cache.folder import cache_folder
from edgeirf.runtime.cuda.compiler import OPTIONS, Compiler, find_compiler
from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.kernels import Launch, headers, source


class Kernels:
    """The project's kernels on one GPU. The context must be current for every method."""

    def __init__(self) -> None:
        self._modules: dict[str, Any] = {}
        self._functions: dict[str, Any] = {}

    def load(self, context: CudaContext, files: tuple[str, ...]) -> None:
        """Loads the kernels of these sources, compiled or from the cache; the ones that are loaded stay.

        Raises:
            BackendError: there is no compiler, or it failed.
        """
        missing = [file for file in files if file not in self._modules]
        if not missing:
            return
        compiler = find_compiler(context.cuda)
        for file in missing:
            self._modules[file] = context.driver.module_from_buffer(machine_code(file, context.arch, compiler))

    def launch(self, plan: Launch, stream: Any) -> None:
        """Queues one launch; every address of ``plan.args`` must be filled in."""
        if plan.kernel not in self._functions:
            self._functions[plan.kernel] = self._modules[plan.file].get_function(plan.kernel)
        self._functions[plan.kernel](plan.args[()], grid=plan.grid, block=plan.block, stream=stream)

    def free(self) -> None:
        """Unloads them."""
        self._functions.clear()
        self._modules.clear()


def machine_code(file: str, arch: str, compiler: Compiler) -> bytes:
    """The cubin of one source file for ``arch``, compiled unless the cache has it.

    The cache's key is a hash of the source, its headers, the architecture and the compiler with its version and
    options; a damaged file in the cache is compiled again.

    Raises:
        BackendError: the compiler failed.
    """
    text = "\0".join([source(file), *headers().values(), arch, compiler.version, *OPTIONS])
    path = cache_folder() / "kernels" / f"{Path(file).stem}-{arch}-{sha256(text.encode())[:24]}.cubin"
    # A cache that cannot be used, damaged or read-only, only costs a second at every start.
    with contextlib.suppress(EdgeirfError, OSError):
        sealed.private_folder(path.parent)
        return sealed.read(path)[1]
    code = compiler.compile(file, arch)
    with contextlib.suppress(EdgeirfError):
        sealed.write(path, {"file": file, "arch": arch, "compiler": compiler.version}, code)
    return code
