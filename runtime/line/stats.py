"""Statistics of a line, in bounded memory."""

from __future__ import annotations

from collections import deque
from time import perf_counter

import numpy as np

from edgeirf.verdict import Verdict

WINDOW = 4096
"""The newest latencies are kept, so many of them; percentiles are of these."""
RECENT = 50
"""The current rate is that of so many frames."""


class Stats:
    """Counts verdicts.

    Attributes:
        frames: verdicts so far.
        rejects: parts rejected, frames that could not be inspected included.
        errors: frames that could not be inspected.
    """

    def __init__(self) -> None:
        self.frames = self.rejects = self.errors = 0
        self._latencies: deque[float] = deque(maxlen=WINDOW)
        self._arrivals: deque[float] = deque(maxlen=RECENT + 1)
        self._started = perf_counter()

    def add(self, verdict: Verdict) -> None:
        """Counts one verdict."""
        self.frames += 1
        self.rejects += verdict.reject
        self._arrivals.append(perf_counter())
        if verdict.status == "error":
            self.errors += 1
        else:
            self._latencies.append(verdict.latency_ms["camera_to_verdict"])

    @property
    def rate(self) -> float:
        """Frames a second over the last :data:`RECENT` frames; 0 before the second one."""
        span = self._arrivals[-1] - self._arrivals[0] if len(self._arrivals) > 1 else 0.0
        return (len(self._arrivals) - 1) / span if span > 0 else 0.0

    @property
    def mean_rate(self) -> float:
        """Frames a second from the start to the newest frame."""
        return self.frames / max(self._arrivals[-1] - self._started, 1e-9) if self._arrivals else 0.0

    def latency(self, *percentiles: float) -> list[float]:
        """Percentiles (0..100) of the last :data:`WINDOW` camera-to-verdict times, in ms; NaN before the first."""
        if not self._latencies:
            return [float("nan")] * len(percentiles)
        return [float(value) for value in np.percentile(self._latencies, percentiles)]

    def line(self, dropped: int, rate: float, total: int | None = None) -> str:
        """One line for people."""
        frames = f"{self.frames}/{total} frames" if total else f"{self.frames} frames"
        parts = [frames, f"{rate:.1f}/s", f"{self.rejects} rejected"]
        if self.errors:
            parts.append(f"{self.errors} failed")
        if dropped:
            parts.append(f"{dropped} dropped")
        if self._latencies:
            parts.append("p50 {:.1f} ms, p99 {:.1f} ms".format(*self.latency(50, 99)))
        return " · ".join(parts)
