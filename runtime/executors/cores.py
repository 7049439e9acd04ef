"""How many processors this process may really use: its affinity, and the CPU quota of its container."""

from __future__ import annotations

import math
import os
from pathlib import Path

from edgeirf.control_groups import group_folders, read
from edgeirf.errors import UsageError

MAX_THREADS = 256
_MOST_BY_DEFAULT = 8


def default_threads(root: Path = Path("/")) -> int:
    """``EDGEIRF_THREADS``, else the cores that this process may use, at most 8.

    With a quota of 1.5 cores it is one thread: two would stand still for a quarter of every period.

    Raises:
        UsageError: ``EDGEIRF_THREADS`` is no whole number of threads.
    """
    asked = os.environ.get("EDGEIRF_THREADS", "").strip()
    if asked:
        if not (asked.isascii() and asked.isdecimal() and 1 <= int(asked[:9]) <= MAX_THREADS):
            raise UsageError(f"EDGEIRF_THREADS is a whole number from 1 to {MAX_THREADS}, not {asked[:40]!r}")
        return int(asked)
    quota = cpu_quota(root)
    allowed = affinity() if quota is None else min(affinity(), max(1, math.floor(quota + 1e-6)))
    return min(allowed, _MOST_BY_DEFAULT)


def affinity() -> int:
    """Cores that the scheduler may give to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Cores that the control groups of this process allow, the smallest of all levels; None without a limit.

    Args:
        root: where absolute paths begin.
    """
    quotas = [quota for folder in group_folders("cpu", root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _quota(folder: Path) -> float | None:
    limit, period = [*read(folder / "cpu.max").split(), "", ""][:2]  # version 2
    if not limit:
        limit, period = (read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    if not (limit.isdecimal() and period.isdecimal()) or int(period) == 0:  # "max" and -1: no limit
        return None
    return int(limit) / int(period)
