"""The largest picture follows from the memory that this process may use."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from edgeirf.runtime.imaging import memory


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("", {}, 2**36),
        ("0::/\n", {"memory.max": "max"}, 2**36),
        ("0::/\n", {"memory.max": "4294967296"}, 2**32),
        ("0::/system.slice/line.service\n", {"system.slice/line.service/memory.max": "1073741824"}, 2**30),
        ("0::/system.slice/line.service\n", {"system.slice/memory.high": "1073741824"}, 2**30),
        ("0::/pod/box\n", {"memory.max": "1073741824"}, 2**30),
        ("4:memory:/pod/box\n", {"memory/pod/box/memory.limit_in_bytes": "1073741824"}, 2**30),
        ("4:memory:/pod/box\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, 2**36),
        ("0::/\n", {"memory.max": "nonsense"}, 2**36),
    ],
)
@pytest.mark.parametrize("own", [None, 2**29])
def test_the_smallest_limit_counts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    groups: str,
    files: dict[str, str],
    limit: int,
    own: int | None,
) -> None:
    soft = resource.RLIM_INFINITY if own is None else own
    monkeypatch.setattr(memory.os, "sysconf", lambda name: {"SC_PHYS_PAGES": 1 << 24, "SC_PAGE_SIZE": 4096}[name])
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, soft))
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert memory.memory_limit(tmp_path) == min(limit, own or limit)


def test_the_largest_picture_takes_half_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, pixels in ((2**36, 2**28), (2**32, 2**32 // 96)):
        monkeypatch.setattr(memory, "memory_limit", lambda limit=limit: limit)
        memory.largest_picture.cache_clear()
        assert memory.largest_picture() == pixels
    memory.largest_picture.cache_clear()
