"""How large a picture this machine can take."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

BYTES_A_PIXEL = 48
"""Peak memory of an inspection with a heat map: 12.4 GB for 16000x16000 pixels and `--save-rejects`."""
MOST_PIXELS = 2**28
"""268 megapixels: larger than any sensor on a line."""
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@cache
def largest_picture() -> int:
    """Pixels of the largest picture that half of the memory this process may use can inspect."""
    return min(MOST_PIXELS, memory_limit() // 2 // BYTES_A_PIXEL)


def memory_limit() -> int:
    """Bytes that this process may use: of the machine, of its container, of its own limit."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _LIMITS:
        try:
            found.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    try:
        import resource
    except ImportError:  # not on Windows
        return min(found)
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft = resource.getrlimit(kind)[0]
        if soft != resource.RLIM_INFINITY:
            found.append(soft)
    return min(found)
