"""Split conformal thresholds: what scores of good parts say about the next good part.

If the next good part is exchangeable with the n calibration parts, it scores above the
ceil((n + 1)(1 - alpha))-th smallest calibration score with probability at most alpha
(Vovk et al., *Algorithmic Learning in a Random World*, 2005; Lei et al., JASA 2018).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

from edgeirf.errors import UsageError


@dataclass(frozen=True)
class Calibration:
    """Scores of good parts that neither the network nor the Gaussian has seen.

    Attributes:
        scores: image scores, ascending.
        peaks: largest value of each part's anomaly map, ascending: the pixel threshold comes from these, so that
            a good part shows any region at all with probability at most alpha.
        odd: number of parts that do not look like the others and so set no threshold: the ``odd`` largest scores and
            peaks. They count in n, and so the smallest rate that can be promised is (odd + 1) / (n + 1).
    """

    scores: tuple[float, ...]
    peaks: tuple[float, ...]
    odd: int = 0

    def __post_init__(self) -> None:
        for values in (self.scores, self.peaks):
            if not values or list(values) != sorted(values) or not all(map(math.isfinite, values)):
                raise ValueError("calibration values must be finite, ascending and at least one")
        if len(self.scores) != len(self.peaks):
            raise ValueError("one peak for each score")
        if not 0 <= self.odd < len(self.scores):
            raise ValueError("odd is a number of scores, but not all of them")

    @property
    def count(self) -> int:
        """Number n of calibration parts."""
        return len(self.scores)

    @property
    def smallest_rate(self) -> float:
        """The smallest false-reject rate that n parts can promise, 1 / (n + 1) where none is odd."""
        return (self.odd + 1) / (self.count + 1)

    def rate(self, false_reject_rate: float) -> float:
        """The rate that is promised when ``false_reject_rate`` is asked for: never below :attr:`smallest_rate`."""
        return max(check_rate(false_reject_rate), self.smallest_rate)

    def score_threshold(self, false_reject_rate: float) -> float:
        """Image scores above this are rejected."""
        return conformal_quantile(self.scores, false_reject_rate, self.odd)

    def pixel_threshold(self, false_reject_rate: float) -> float:
        """Map values above this make a region."""
        return conformal_quantile(self.peaks, false_reject_rate, self.odd)

    def p_value(self, score: float) -> float:
        """See :func:`conformal_p_value`."""
        return conformal_p_value(self.scores, score)

    def limits(self, false_reject_rate: float) -> Limits:
        """What the scores of new parts are held against."""
        return Limits(self.score_threshold(false_reject_rate), self.pixel_threshold(false_reject_rate), self.scores)


@dataclass(frozen=True, eq=False)
class Limits:
    """What the scores of new parts are held against: one calibration at one false-reject rate. Default: nothing.

    Attributes:
        threshold: image scores above it are rejected.
        pixel_threshold: map values above it make a region.
        scores: of the calibration parts, ascending: for p-values.
    """

    threshold: float = math.inf
    pixel_threshold: float = math.inf
    scores: tuple[float, ...] = ()


def conformal_p_value(ascending: tuple[float, ...], score: float) -> float:
    """Conformal p-value of a part, (1 + #{calibration >= score}) / (n + 1), in (0, 1]."""
    count = len(ascending)
    return (1 + count - bisect_left(ascending, score)) / (count + 1)


def conformal_quantile(ascending: tuple[float, ...], false_reject_rate: float, odd: int = 0) -> float:
    """The ceil((n + 1)(1 - alpha))-th smallest value, at most the largest one below the ``odd`` largest.

    Raises:
        UsageError: the rate is not inside 0..1.
    """
    count = len(ascending)
    # The tolerance keeps (n + 1)(1 - alpha) that is whole on paper from being rounded up by the last bit.
    rank = math.ceil((count + 1) * (1.0 - check_rate(false_reject_rate)) - 1e-9)
    return ascending[min(max(rank, 1), count - odd) - 1]


def check_rate(false_reject_rate: float) -> float:
    """Returns the rate, or raises :class:`UsageError` when it is not strictly between 0 and 1."""
    if not 0.0 < false_reject_rate < 1.0:
        raise UsageError(
            f"a false-reject rate lies between 0 and 1, not {false_reject_rate:g}; try 0.01 for one in 100"
        )
    return false_reject_rate
