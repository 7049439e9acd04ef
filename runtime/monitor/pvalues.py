"""The scores of parts: is the line still in the state that the threshold was calibrated for?

See :mod:`edgeirf.runtime.monitor.sequential` for the test and its false-alarm rate. Two streams of ranks are watched:

- *higher*: ranks among the bundle's calibration scores and all parts so far. A calibration score is the larger one of a
  held-out picture and its changed copy, so parts of the line score like these or lower; lower ones only raise ranks,
  every bet on *higher* falls with the rank, and the false-alarm rate stays below the stated one.
- *lower*: ranks among the parts of the line alone. Lower scores mean a blurred or dim picture, and that defects may pass.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from edgeirf.runtime.monitor.sequential import Ranks, ShiftTest

Trend = Literal["higher", "lower"]

RECENT: Final = 50
"""So many parts say what holds now."""
CLEAR: Final = 0.15
"""The mean of :data:`RECENT` ranks is back to normal within so much of a half: 3.7 standard errors."""
RESOLUTION: Final = 0.01
"""Of the inverse hyperbolic sine of a score: 1 % of a large score."""


class ScoreWatch:
    """Watches the stream of scores.

    >>> watch = ScoreWatch(calibration=[100.0 + i for i in range(99)], length=1e6)
    >>> [watch.add(500.0 + i) for i in range(40)][-1]
    'higher'

    Args:
        calibration: scores of the held-out good parts.
        length: mean number of parts to a false alarm, at least.
        seed: of the draws between ties.
    """

    def __init__(self, calibration: Sequence[float], length: float, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._among: dict[Trend, Ranks] = {"higher": Ranks(RESOLUTION, rng), "lower": Ranks(RESOLUTION, rng)}
        self._among["higher"].seed(map(math.asinh, calibration))
        # The mean of the two sums has the property that each of them has.
        self._tests: dict[Trend, ShiftTest] = {
            "higher": ShiftTest("up", 2 * length),
            "lower": ShiftTest("down", 2 * length),
        }
        self._recent: dict[Trend, deque[float]] = {trend: deque(maxlen=RECENT) for trend in self._tests}
        self.trend: Trend | None = None

    def add(self, score: float) -> Trend | None:
        """Takes the score of the next part.

        Returns:
            the alarm that stands; it ends when :data:`RECENT` parts are back to normal. Parts in an alarm are not
            learned from.
        """
        for trend, test in self._tests.items():
            rank = self._among[trend].rank(math.asinh(score), keep=self.trend is None)
            self._recent[trend].append(rank)
            if self.trend is None and test.add(rank):
                self.trend = trend
        if self.trend is not None and self._is_back(self._recent[self.trend]):
            self._begin_anew()
        return self.trend

    @property
    def mean_rank(self) -> float:
        """Mean of the recent ranks among calibration and earlier parts; 0.5 is usual, NaN before the first part."""
        ranks = self._recent["higher"]
        return sum(ranks) / len(ranks) if ranks else math.nan

    def accept(self) -> None:
        """Takes the present state as the usual one: the next parts are ranked among themselves."""
        for ranks in self._among.values():
            ranks.clear()
        self._begin_anew()

    def _is_back(self, ranks: deque[float]) -> bool:
        return len(ranks) == RECENT and abs(sum(ranks) / RECENT - 0.5) < CLEAR

    def _begin_anew(self) -> None:
        self.trend = None
        for trend, test in self._tests.items():
            test.reset()
            self._recent[trend].clear()
