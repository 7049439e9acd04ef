"""A sequential test of exchangeability: does a stream of values still look like its own past?

Each value is ranked among all values before it. While the stream is exchangeable (the line is in its calibrated state),
the smoothed rank ``p = (#{larger} + U #{equal, itself included}) / n`` is uniform and independent of all ranks before
(Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random World*, 2005). This is exact although all parts share one
calibration set: a p-value against a fixed set is not, for the set itself is a sample.

A bet on small p has the factor ``1 + stake (1 - 2 p)``: its mean is 1 under uniform p, and it is at most 2, so that
a few defective parts do not raise an alarm. The Shiryaev-Roberts sum of all bets that began at any part,

    R_t = (1 + R_(t-1)) (1 + stake (1 - 2 p_t)),

has mean t, so the mean time to a false alarm at ``R >= length`` is at least ``length`` parts (Vovk et al., "Retrain or
not retrain", 2021; Shin, Ramdas and Rinaldo, "E-detectors", 2023). A mean of several such sums has the same property.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import numpy as np

Way = Literal["up", "down"]

STAKES: Final = (0.25, 0.5, 1.0)
"""The smallest stake leaves shifts of the mean rank below 0.02 alone: they are no drift that matters."""
BINS: Final = 4096
RECENT: Final = 50
"""So many values say what holds now."""
MATTERS: Final = 0.1
"""A mean of the recent ranks that lies nearer to a half is usual; 2.4 standard errors of :data:`RECENT` ranks."""


class Ranks:
    """The values so far, counted in bins of fixed width: bounded memory, and ties are drawn by lot.

    >>> ranks = Ranks(resolution=0.01, rng=np.random.default_rng(0))
    >>> for value in range(99):
    ...     _ = ranks.rank(value / 100)
    >>> 0 < ranks.rank(5.0) < 0.01
    True

    Args:
        resolution: width of a bin. Values beyond 2048 bins from zero fall into the last bin.
        rng: draws between ties.
    """

    def __init__(self, resolution: float, rng: np.random.Generator) -> None:
        self._resolution, self._rng = resolution, rng
        self._counts = np.zeros(BINS, np.int64)
        self.total = 0

    def seed(self, values: Iterable[float]) -> None:
        """Counts values that came before the stream."""
        for value in values:
            self._counts[self._bin(value)] += 1
            self.total += 1

    def rank(self, value: float, *, keep: bool = True) -> float:
        """The smoothed rank of a value from above, in (0, 1): small for a large value.

        Args:
            value: the next one of the stream.
            keep: count it for the ranks to come.
        """
        at = self._bin(value)
        larger = int(self._counts[at + 1 :].sum())
        equal = int(self._counts[at]) + 1
        rank = (larger + (1.0 - float(self._rng.random())) * equal) / (self.total + 1)
        if keep:
            self.seed([value])
        return rank

    @property
    def counts(self) -> tuple[tuple[int, int], ...]:
        """Number of the bin and count, of every bin that is not empty."""
        return tuple((at, int(self._counts[at])) for at in np.flatnonzero(self._counts).tolist())

    @counts.setter
    def counts(self, counts: tuple[tuple[int, int], ...]) -> None:
        self.clear()
        for at, count in counts:
            self._counts[at] = count
        self.total = int(self._counts.sum())

    def clear(self) -> None:
        """Forgets all values."""
        self._counts[:] = 0
        self.total = 0

    def _bin(self, value: float) -> int:
        return int(min(max(round(value / self._resolution) + BINS // 2, 0), BINS - 1))


class ShiftTest:
    """Bets that ranks stay small (values rise) or stay large (values fall).

    >>> test = ShiftTest("up", length=1e6)
    >>> [test.add(0.05) for _ in range(30)].index(True)
    22

    Args:
        way: ``up``: the values rise, ranks fall.
        length: mean number of parts to a false alarm, at least.
    """

    def __init__(self, way: Way, length: float) -> None:
        self._sign = 1.0 if way == "up" else -1.0
        self._length = length
        self._sums = np.zeros(len(STAKES))

    def add(self, rank: float) -> bool:
        """Takes the next rank; True at an alarm, after which the test begins anew."""
        self._sums = (1 + self._sums) * (1 + self._sign * np.array(STAKES) * (1 - 2 * rank))
        if self._sums.mean() < self._length:
            return False
        self.reset()
        return True

    def reset(self) -> None:
        """Begins anew."""
        self._sums = np.zeros(len(STAKES))


class Stream:
    """One stream of values under test.

    An alarm takes a change that is significant and not small. It stands until the recent values are usual again.

    >>> stream = Stream(0.01, ["up", "down"], length=1e6, rng=np.random.default_rng(0))
    >>> for value in np.random.default_rng(1).normal(size=300).tolist():
    ...     assert stream.add(value) is None
    >>> [stream.add(5.0) for _ in range(40)][-1]
    'up'

    Args:
        resolution: differences of values that are worth telling apart.
        ways: which changes raise an alarm.
        length: mean number of parts to a false alarm, at least, of all ways together.
        rng: draws between ties.
    """

    def __init__(self, resolution: float, ways: Sequence[Way], length: float, rng: np.random.Generator) -> None:
        self.ranks = Ranks(resolution, rng)
        self.alarm: Way | None = None
        self._tests = {way: ShiftTest(way, length * len(ways)) for way in ways}
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._since = 0

    def add(self, value: float) -> Way | None:
        """Takes the next value and returns the alarm that stands. Values in an alarm are not learned from."""
        rank = self.ranks.rank(value, keep=self.alarm is None)
        self._recent.append(rank)
        if self.alarm is None:
            significant = [way for way, test in self._tests.items() if test.add(rank)]
            if significant and abs(self.mean_rank - 0.5) >= MATTERS:
                self.alarm, self._since = significant[0], 0
        else:
            self._since += 1
            if self._since >= RECENT and abs(self.mean_rank - 0.5) < MATTERS:
                self._begin_anew()
        return self.alarm

    @property
    def mean_rank(self) -> float:
        """Mean of the recent ranks; 0.5 is usual, NaN before the first value."""
        return sum(self._recent) / len(self._recent) if self._recent else math.nan

    def accept(self) -> None:
        """Takes the present state as the usual one: the next values are ranked among themselves."""
        self.ranks.clear()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.alarm = None
        self._recent.clear()
        for test in self._tests.values():
            test.reset()
