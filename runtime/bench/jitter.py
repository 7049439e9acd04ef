"""How late this machine wakes a process that waits: what no network makes up for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import numpy as np

PERIOD_S: Final = 0.001


@dataclass(frozen=True)
class Jitter:
    """Lateness of wake-ups, microseconds.

    Attributes:
        count: of wake-ups.
        p50_us, p99_us, p999_us, max_us: of their lateness.
    """

    count: int
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float

    def line(self, label: str) -> str:
        """One line for people."""
        return (
            f"wake-up {label}: late by p50 {self.p50_us:.0f} us, p99 {self.p99_us:.0f} us, "
            f"p99.9 {self.p999_us:.0f} us, max {self.max_us:.0f} us ({self.count} wake-ups)"
        )


def measure_jitter(seconds: float) -> Jitter:
    """Sleeps until each of many points in time, one a millisecond, and looks how late it wakes.

    Args:
        seconds: how long.
    """
    late = []
    due = time.monotonic() + PERIOD_S
    for _ in range(max(10, round(seconds / PERIOD_S))):
        time.sleep(max(0.0, due - time.monotonic()))
        now = time.monotonic()
        late.append(max(0.0, now - due))
        due = max(due + PERIOD_S, now)  # a late wake-up delays no other one
    values = np.array(late) * 1e6
    p50, p99, p999 = np.percentile(values, (50, 99, 99.9)).tolist()
    return Jitter(len(late), p50, p99, p999, float(values.max()))
