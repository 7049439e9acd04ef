"""A compiler that only counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest


class FakeCompiler:
    """Gives what it was asked for as code, and counts."""

    def __init__(self, version: str = "fake-1", cuda: int = 13) -> None:
        self.version, self.cuda = version, cuda
        self.compiled: list[tuple[str, str]] = []

    def compile(self, file: str, arch: str) -> bytes:
        self.compiled.append((file, arch))
        return f"code of {file} for {arch}".encode()


@pytest.fixture
def fake_compiler() -> Callable[..., FakeCompiler]:
    """``fake_compiler(version, cuda)``; see :class:`FakeCompiler`."""
    return FakeCompiler
