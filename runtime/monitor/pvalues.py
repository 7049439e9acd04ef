"""The scores of parts: is the line still in the state that the threshold was calibrated for?

See :mod:`edgeirf.runtime.monitor.sequential` for the test and its false-alarm rate. Two streams of ranks are watched:

- *higher*: ranks among the bundle's calibration scores and all parts so far. A calibration score is the larger one of a
  held-out picture and its changed copy, so parts of the line score like these or lower; lower ones only raise ranks,
  every bet on *higher* falls with the rank, and the false-alarm rate stays below the stated one.
- *lower*: ranks among the parts of the line alone. Lower scores mean a blurred or dim picture: defects may pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from edgeirf.runtime.monitor.memory import RankMemory
from edgeirf.runtime.monitor.sequential import Stream

Trend = Literal["higher", "lower"]

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
        # The mean of the two sums has the property that each of them has: twice the length for each.
        self._streams: dict[Trend, Stream] = {
            "higher": Stream(RESOLUTION, ["up"], 2 * length, rng),
            "lower": Stream(RESOLUTION, ["down"], 2 * length, rng),
        }
        self._streams["higher"].ranks.seed(map(math.asinh, calibration))

    def add(self, score: float) -> Trend | None:
        """Takes the score of the next part and returns the alarm that stands."""
        value, standing = math.asinh(score), self.trend
        for trend, stream in self._streams.items():
            if standing in (None, trend):  # a line that scores higher for a while teaches the other stream nothing
                stream.add(value)
        return self.trend

    @property
    def trend(self) -> Trend | None:
        """The alarm that stands."""
        return next((trend for trend, stream in self._streams.items() if stream.alarm is not None), None)

    @property
    def mean_rank(self) -> float:
        """Mean of the recent ranks among calibration and earlier parts; 0.5 is usual, NaN before the first part."""
        return self._streams["higher"].mean_rank

    @property
    def memory(self) -> tuple[RankMemory, RankMemory]:
        """What is kept over a restart: the values, not the tests, which begin anew."""
        return RankMemory(self._streams["higher"].ranks.counts), RankMemory(self._streams["lower"].ranks.counts)

    @memory.setter
    def memory(self, kept: tuple[RankMemory, RankMemory]) -> None:
        for stream, own in zip(self._streams.values(), kept, strict=True):
            stream.ranks.counts = own.counts

    def accept(self) -> None:
        """Takes the present state as the usual one."""
        for stream in self._streams.values():
            stream.accept()
