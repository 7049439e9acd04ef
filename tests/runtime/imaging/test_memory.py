"""The largest picture follows from the memory that this process may use."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from edgeirf.runtime.imaging import memory


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 64 GiB; the test writes its container's limit."""
    monkeypatch.setattr(memory.os, "sysconf", lambda name: {"SC_PHYS_PAGES": 1 << 24, "SC_PAGE_SIZE": 4096}[name])
    monkeypatch.setattr(memory, "_LIMITS", (str(tmp_path / "limit"),))
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    memory.largest_picture.cache_clear()
    yield tmp_path / "limit"
    memory.largest_picture.cache_clear()


@pytest.mark.parametrize(
    ("limit", "own", "pixels"),
    [
        (None, None, 2**28),
        ("max\n", None, 2**28),
        ("4294967296\n", None, 2**32 // 96),
        ("9223372036854771712\n", None, 2**28),
        (None, 2**30, 2**30 // 96),
    ],
)
def test_the_smallest_limit_counts(
    machine: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, own: int | None, pixels: int
) -> None:
    if limit is not None:
        machine.write_text(limit)
    if own is not None:
        monkeypatch.setattr(resource, "getrlimit", lambda kind: (own, own))
    assert memory.largest_picture() == pixels
