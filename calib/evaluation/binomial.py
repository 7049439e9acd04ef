"""What counts of rare events allow: exact binomial bounds (Clopper and Pearson, Biometrika 1934)."""

from __future__ import annotations

import math

CONFIDENCE = 0.95
"""Of every bound that is shown; one-sided."""


def upper_bound(events: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The largest rate under which ``events`` or fewer of ``trials`` are not too unlikely (one-sided, exact).

    0 of 50 still allow a rate of 5.8 % at 95 % confidence.

    Raises:
        ValueError: ``events`` do not lie in 0..trials.
    """
    if not 0 <= events <= trials:
        raise ValueError(f"{events} of {trials} is no count")
    if events == trials:
        return 1.0
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        if _at_most(events, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def lower_bound(events: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The smallest rate under which ``events`` or more of ``trials`` are not too unlikely (one-sided, exact)."""
    return 1.0 - upper_bound(trials - events, trials, confidence)


def _at_most(events: int, trials: int, rate: float) -> float:
    """P(X <= events) of a binomial law; the terms are summed as logarithms, so that none underflows early."""
    log_rate, log_rest = math.log(rate), math.log1p(-rate)
    whole = math.lgamma(trials + 1)
    return sum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * log_rate + (trials - k) * log_rest)
        for k in range(events + 1)
    )
