"""The choice of a scoring by a few labelled parts, and what that choice is worth on parts that had no say in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgeirf.settings import Scoring

SIGMAS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Smoothing that is tried, pixels of the network input."""
SHARES: Final = (0.0005, 0.002, 0.01)
"""Shares of the map whose mean is tried as image score, beside the maximum."""
FOLDS: Final = 5
REPEATS: Final = 10
FEWEST: Final = 5
"""Good parts and defective parts that a choice needs at least, of each."""

Floats = NDArray[np.float64]


def candidates(current: Scoring, pixels: int) -> list[Scoring]:
    """The scorings to choose from, the present one first.

    Args:
        current: of the bundle.
        pixels: of the anomaly map.
    """
    tops = (1, *(max(2, round(share * pixels)) for share in SHARES))
    grid = [replace(current, sigma=sigma, top_k=top) for sigma in SIGMAS for top in tops]
    return list(dict.fromkeys([current, *grid]))


def auroc(good: Floats, defective: Floats) -> float:
    """Area under the ROC.

    >>> auroc(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.875
    """
    return float(_placements(good, defective).mean())


def choose(good: Floats, defective: Floats) -> int:
    """The candidate with the largest AUROC; the first one where no other is better by a standard error.

    Args:
        good: image scores ``(candidates, n)``.
        defective: image scores ``(candidates, m)``, of two parts or more.
    """
    places = np.stack([_placements(*pair) for pair in zip(good, defective, strict=True)])
    gains = places - places[0]
    means = gains.mean(1)
    errors = gains.std(1, ddof=1) / np.sqrt(gains.shape[1])
    return int(np.argmax(np.where(means > errors, means, 0.0)))


@dataclass(frozen=True)
class Worth:
    """What a scoring does.

    Attributes:
        auroc: of the image scores.
        escapes: defective parts that score no higher than the threshold; a mean over splits need not be whole.
        false_rejects: good parts that score higher.
    """

    auroc: float
    escapes: float
    false_rejects: float


def worth(good: Floats, defective: Floats, threshold: float) -> Worth:
    """Of one scoring, scores ``(n,)`` and ``(m,)``."""
    return Worth(auroc(good, defective), float((defective <= threshold).sum()), float((good > threshold).sum()))


def nested(good: Floats, defective: Floats, thresholds: Sequence[float]) -> Worth:
    """What :func:`choose` is worth on parts that had no say in the choice.

    The parts are split into :data:`FOLDS` folds. For each fold the others decide and measured in the
    fold; AUROC compares parts of one fold, whose scores are of one scoring. Means over :data:`REPEATS` random splits.

    Args:
        good: image scores ``(candidates, n)``.
        defective: image scores ``(candidates, m)``.
        thresholds: of each candidate, from other good parts.
    """
    rng = np.random.default_rng(0)
    found = [_split(good, defective, thresholds, rng) for _ in range(REPEATS)]
    return Worth(*(float(np.mean([getattr(one, key) for one in found])) for key in Worth.__dataclass_fields__))


def _split(good: Floats, defective: Floats, thresholds: Sequence[float], rng: np.random.Generator) -> Worth:
    count = min(FOLDS, good.shape[1], defective.shape[1])
    fold_of_good = rng.permutation(np.arange(good.shape[1]) % count)
    fold_of_defective = rng.permutation(np.arange(defective.shape[1]) % count)
    total, escapes, false_rejects = 0.0, 0.0, 0.0
    for fold in range(count):
        out_good, out_defective = fold_of_good == fold, fold_of_defective == fold
        at = choose(good[:, ~out_good], defective[:, ~out_defective])
        found = worth(good[at, out_good], defective[at, out_defective], thresholds[at])
        total += found.auroc * out_defective.sum()
        escapes += found.escapes
        false_rejects += found.false_rejects
    return Worth(total / defective.shape[1], escapes, false_rejects)


def _placements(good: Floats, defective: Floats) -> Floats:
    """For each defective part the share of good parts that score lower; equal ones count half."""
    ascending = np.sort(good)
    lower, upper = (np.searchsorted(ascending, defective, side) for side in ("left", "right"))
    shares: Floats = (lower + upper) / (2.0 * len(good))
    return shares
