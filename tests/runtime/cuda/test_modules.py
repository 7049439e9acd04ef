"""Kernels are compiled once, and the cache is not believed blindly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeirf.errors import BackendError
from edgeirf.runtime.cuda import compiler as compiler_module
from edgeirf.runtime.cuda import modules


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEIRF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kernels"


class TestCache:
    """Kernels are compiled once for each source, architecture and compiler."""

    def test_compiled_once(self, fake_compiler: Callable[..., Any], cache: Path) -> None:
        fake = fake_compiler()
        codes = [modules.machine_code("preprocess.cu", "sm_87", fake) for _ in range(2)]
        assert codes == [b"code of preprocess.cu for sm_87"] * 2
        assert fake.compiled == [("preprocess.cu", "sm_87")]
        assert [path.suffix for path in cache.iterdir()] == [".cubin"]

    def test_what_the_code_depends_on_makes_another_file(
        self, fake_compiler: Callable[..., Any], cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake, newer = fake_compiler(), fake_compiler("fake-2")
        modules.machine_code("preprocess.cu", "sm_87", fake)
        modules.machine_code("preprocess.cu", "sm_86", fake)
        modules.machine_code("postprocess.cu", "sm_87", fake)
        modules.machine_code("preprocess.cu", "sm_87", newer)
        monkeypatch.setattr(modules, "headers", lambda: {"platform.cuh": "// another"})
        modules.machine_code("preprocess.cu", "sm_87", fake)
        assert len(list(cache.iterdir())) == 5

    @pytest.mark.parametrize("damage", [b"", b"\0", b"not a file of ours"])
    def test_a_damaged_file_is_compiled_again(
        self, fake_compiler: Callable[..., Any], damage: bytes, cache: Path
    ) -> None:
        fake = fake_compiler()
        code = modules.machine_code("preprocess.cu", "sm_87", fake)
        (path,) = cache.iterdir()
        whole = path.read_bytes()
        path.write_bytes(damage or whole[:-3] + b"xyz")
        assert modules.machine_code("preprocess.cu", "sm_87", fake) == code
        assert len(fake.compiled) == 2
        assert path.read_bytes() == whole

    def test_a_folder_that_others_can_write_to_is_not_believed(
        self, fake_compiler: Callable[..., Any], cache: Path
    ) -> None:
        fake = fake_compiler()
        modules.machine_code("preprocess.cu", "sm_87", fake)
        cache.chmod(0o777)
        modules.machine_code("preprocess.cu", "sm_87", fake)
        assert len(fake.compiled) == 2

    def test_a_compiler_that_fails_leaves_nothing(self, fake_compiler: Callable[..., Any], cache: Path) -> None:
        broken = fake_compiler()

        def refuse(file: str, arch: str) -> bytes:
            raise BackendError("no room")

        broken.compile = refuse
        with pytest.raises(BackendError, match="no room"):
            modules.machine_code("preprocess.cu", "sm_87", broken)
        assert list(cache.iterdir()) == []


class Driver:
    """``pycuda.driver``, as far as loading a module needs it.

    Args:
        takes: beginnings of the code that it loads.
    """

    class Error(Exception):
        """As pycuda's."""

    class MemoryError(Error):
        """As pycuda's."""

    def __init__(self, *takes: bytes) -> None:
        self.takes = takes

    def module_from_buffer(self, code: bytes) -> bytes:
        if code.startswith(self.takes):
            return code
        raise self.Error("cuModuleLoadDataEx failed: device kernel image is invalid")


@pytest.mark.parametrize(
    ("takes", "compiler"),
    [((b"code of",), "fake-1"), ((b"second",), "fake-2"), ((b"// SHA-256",), "ptx"), ((b"none",), None)],
)
def test_every_compiler_is_tried_and_then_the_ptx_of_the_wheel(
    takes: tuple[bytes, ...],
    compiler: str | None,
    fake_compiler: Callable[..., Any],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where a compiler is older than the GPU."""
    second = fake_compiler("fake-2")
    second.compile = lambda file, arch: b"second"
    monkeypatch.setattr(
        modules, "fitting_compilers", lambda cuda: [fake_compiler("fake-1"), second, compiler_module.Shipped()]
    )
    context: Any = SimpleNamespace(cuda=12, arch="sm_120", name="RTX 5090", driver=Driver(*takes))
    kernels = modules.Kernels()
    if compiler is None:
        with pytest.raises(BackendError, match=r"do not run on RTX 5090 \(sm_120\): fake-1: .*; fake-2: .*; ptx: "):
            kernels.load(context, ("preprocess.cu",))
        return
    kernels.load(context, ("preprocess.cu",))
    assert kernels.compilers == {"preprocess.cu": compiler}


def test_without_a_compiler_the_ptx_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler_module, "_compilers", lambda: iter(()))
    assert [one.version for one in compiler_module.fitting_compilers(12)] == ["ptx"]
