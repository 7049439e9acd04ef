"""Value ranges of activations from good parts: what INT8 maps to its 256 levels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import EdgeirfError

Method = Literal["entropy", "percentile", "minmax"]
METHODS: tuple[Method, ...] = get_args(Method)
BINS = 2048
LEVELS = 128
"""Magnitudes a signed 8-bit number can have."""
PERCENTILE = 99.99
SAMPLES = 2**15
"""Values of one tensor of one picture that go into the histogram; the extremes are always of all of them."""


@dataclass
class Histogram:
    """Magnitudes of one tensor over all pictures, and its extremes.

    Attributes:
        lowest, highest: over every value seen.
        limit: upper edge of the last bin; it doubles when a larger magnitude comes.
        counts: ``(BINS,)`` of magnitudes in equal bins from 0 to ``limit``.
    """

    lowest: float = 0.0
    highest: float = 0.0
    limit: float = 0.0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, values: NDArray[np.float32]) -> None:
        """Counts the values of one picture, every k-th where there are many.

        Raises:
            EdgeirfError: a value is not finite.
        """
        low, high = float(values.min()), float(values.max())
        if not np.isfinite([low, high]).all():
            raise EdgeirfError("the FP32 network gives values that are not finite: train again")
        self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
        self._reach(max(-low, high))
        flat = values.reshape(-1)
        step = max(1, flat.size // SAMPLES) | 1  # odd: a power of two would always meet the same columns
        magnitudes = np.abs(flat[::step])
        bins = np.minimum((magnitudes * (BINS / self.limit)).astype(np.int64), BINS - 1)
        self.counts += np.bincount(bins, minlength=BINS)

    def _reach(self, magnitude: float) -> None:
        self.limit = self.limit or max(magnitude, 1e-12)
        while magnitude > self.limit:
            pairs = self.counts.reshape(-1, 2).sum(1)
            self.counts = np.concatenate([pairs, np.zeros(BINS // 2, np.int64)])
            self.limit *= 2


def value_range(histogram: Histogram, method: Method) -> tuple[float, float]:
    """Lowest and highest value to represent; 0 is always between them. What lies outside saturates.

    ``minmax``: all values; ``percentile``: the smallest 99.99 % of the magnitudes; ``entropy``: the magnitude at which
    quantising loses the least information (Migacz, *8-bit inference with TensorRT*, GTC 2017).
    """
    reach = max(-histogram.lowest, histogram.highest)
    if method == "percentile":
        share = np.cumsum(histogram.counts) / max(int(histogram.counts.sum()), 1)
        reach = _edge(histogram, int(np.searchsorted(share, PERCENTILE / 100)) + 1)
    elif method == "entropy":
        reach = _edge(histogram, _least_divergence(histogram.counts))
    return max(histogram.lowest, -reach), min(histogram.highest, reach)


def _edge(histogram: Histogram, bins: int) -> float:
    return histogram.limit * bins / BINS


def _least_divergence(counts: NDArray[np.int64]) -> int:
    """Number of bins to keep: least Kullback-Leibler divergence of the quantised distribution from the clipped one."""
    last = max(int(np.max(np.flatnonzero(counts), initial=0)) + 1, LEVELS)
    candidates: list[int] = [*range(LEVELS, last, LEVELS // 8), last]
    return min(candidates, key=lambda kept: _divergence(counts, kept))


def _divergence(counts: NDArray[np.int64], kept: int) -> float:
    """KL divergence, nats, when ``kept`` bins share :data:`LEVELS` levels and what is above saturates."""
    inside = counts[:kept].astype(np.float64)
    clipped = inside.copy()
    clipped[-1] += counts[kept:].sum()
    starts = np.arange(LEVELS) * kept // LEVELS
    filled = (inside > 0).astype(np.float64)
    totals, used = np.add.reduceat(inside, starts), np.add.reduceat(filled, starts)
    widths = np.diff(np.append(starts, kept))
    quantised = np.repeat(totals / np.maximum(used, 1), widths) * filled
    p, q = clipped / max(clipped.sum(), 1), quantised / max(quantised.sum(), 1e-12)
    mask = p > 0
    return float(np.sum(p[mask] * np.log(p[mask] / np.maximum(q[mask], 1e-12))))
