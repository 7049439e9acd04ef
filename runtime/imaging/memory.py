"""How large a picture this machine can take."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from edgeirf.control_groups import group_folders, read

BYTES_A_PIXEL = 48
"""Peak memory of an inspection with a heat map: 12.4 GB for 16000x16000 pixels and `--save-rejects`."""
MOST_PIXELS = 2**28
"""268 megapixels: larger than any sensor on a line."""
_LIMITS = ("memory.max", "memory.high", "memory.limit_in_bytes")
"""Files of a control group: of version 2, and of version 1."""


@cache
def largest_picture() -> int:
    """Pixels of the largest picture that half of the memory this process may use can inspect."""
    return min(MOST_PIXELS, memory_limit() // 2 // BYTES_A_PIXEL)


def memory_limit(root: Path = Path("/")) -> int:
    """Bytes that this process may use: of the machine, of its container or service, of its own limit."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    texts = [read(folder / name).strip() for folder in group_folders("memory", root) for name in _LIMITS]
    found += [int(text) for text in texts if text.isdecimal()]  # not "max"
    try:
        import resource
    except ImportError:  # not on Windows
        return min(found)
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft = resource.getrlimit(kind)[0]
        if soft != resource.RLIM_INFINITY:
            found.append(soft)
    return min(found)
