"""What a threshold promises: a mean, and a bound that holds with a stated confidence."""

from __future__ import annotations

from edgeirf.calib.evaluation.binomial import CONFIDENCE, upper_bound
from edgeirf.conformal import Calibration


def rate_at_most(calibration: Calibration, false_reject_rate: float, confidence: float = CONFIDENCE) -> float:
    """The false-reject rate that a threshold from these held-out parts stays below, with this confidence.

    :meth:`edgeirf.conformal.Calibration.rate` is a mean over the draw of the held-out parts. For the parts that were
    drawn, the rate follows Beta(n + 1 - rank, rank), where the threshold is the rank-th smallest of n scores (Vovk,
    ACML 2012). Its quantile is the bound of Clopper and Pearson for the n - rank parts above the threshold.

    >>> calibration = Calibration(scores=tuple(map(float, range(32))), peaks=tuple(map(float, range(32))))
    >>> round(calibration.rate(0.05), 3), round(rate_at_most(calibration, 0.05), 3)
    (0.05, 0.089)

    Args:
        calibration: scores of the held-out parts.
        false_reject_rate: the rate that is asked for.
        confidence: in the draw of the held-out parts.
    """
    threshold = calibration.score_threshold(false_reject_rate)
    above = sum(score > threshold for score in calibration.scores)
    return upper_bound(above, calibration.count, confidence)
