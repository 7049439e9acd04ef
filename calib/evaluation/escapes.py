"""Escapes at given false-reject rates: what a line pays for, whatever the threshold in the bundle is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from edgeirf.calib.evaluation.count import Count
from edgeirf.calib.evaluation.metrics import Floats

RATES: Final = ("0.005", "0.01", "0.02", "0.05")
"""Shares of good parts that may be rejected."""


@dataclass(frozen=True)
class EscapesAt:
    """Escapes where the good test parts set the threshold.

    Attributes:
        rate: share of the good test parts that may be rejected, one of :data:`RATES`.
        threshold: the smallest score of a good part above which at most that share lies.
        escapes: defective parts that score no higher.
        false_rejects: good parts that score higher.
    """

    rate: str
    threshold: float
    escapes: Count
    false_rejects: Count

    @property
    def resolved(self) -> bool:
        """Whether there are enough good parts for one of them to be this share: else no good part is rejected."""
        return self.false_rejects.trials * float(self.rate) >= 1 - 1e-9

    def to_json(self) -> dict[str, object]:
        """The count of escapes with its bounds, the threshold, the false rejects, and whether the rate is resolved."""
        return {
            **self.escapes.to_json(),
            "lower_bound": self.escapes.at_least,
            "threshold": self.threshold,
            "false_rejects": self.false_rejects.to_json(),
            "resolved": self.resolved,
        }


def escapes_at(good: Floats, defective: Floats) -> tuple[EscapesAt, ...]:
    """One for each of :data:`RATES`; nothing without good or without defective parts.

    >>> escapes_at(np.arange(100.0), np.array([50.0, 98.5, 200.0]))[1].escapes
    Count(events=1, trials=3)

    Args:
        good, defective: image scores.
    """
    if not len(good) or not len(defective):
        return ()
    ascending = np.sort(good)
    found = []
    for rate in RATES:
        allowed = math.floor(len(good) * float(rate) + 1e-9)
        threshold = float(ascending[len(good) - 1 - allowed])
        found.append(
            EscapesAt(
                rate,
                threshold,
                Count(int((defective <= threshold).sum()), len(defective)),
                Count(int((good > threshold).sum()), len(good)),
            )
        )
    return tuple(found)
