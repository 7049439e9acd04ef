"""Kernels are compiled once, and the cache is not believed blindly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeirf.errors import BackendError
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
