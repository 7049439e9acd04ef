"""Are all the good parts good? Names pictures that look unlike the others, before one of them sets the threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edgeirf.calib.evaluation.count import Count
from edgeirf.calib.evaluation.metrics import Floats
from edgeirf.conformal import conformal_quantile
from edgeirf.errors import UsageError

SIGNIFICANCE: Final = 0.15
"""Largest p-value of a picture that is named. The law of :func:`_p_values` has a heavier tail than most sets: of sets
without an odd picture at most 5 % have one named where scores are log-normal or Gumbel, at 20 to 150 pictures."""
FEWEST: Final = 10
"""Pictures below which none is named."""
LARGEST_SHARE: Final = 7
"""At most one picture of so many is named: the others say what is usual."""


@dataclass(frozen=True)
class OddPicture:
    """A picture of a good part that does not look like the others.

    Attributes:
        path: the picture.
        score: under statistics that have not seen it.
        p_value: chance of such a gap between the scores of this picture or a less odd one and the next lower score,
            by a model; see :func:`_p_values`.
        threshold_without: the threshold when this picture is left out.
        escapes_without: defective parts that pass then; None where none are known.
    """

    path: Path
    score: float
    p_value: float
    threshold_without: float
    escapes_without: Count | None = None


@dataclass(frozen=True)
class Examination:
    """What an examination of good parts found.

    Attributes:
        count: pictures examined.
        threshold: with all of them.
        escapes: defective parts that pass then; None where none are known.
        odd: pictures to look at, the oddest first.
        threshold_without: when all odd ones are left out.
        escapes_without: defective parts that pass then.
    """

    count: int
    threshold: float
    escapes: Count | None
    odd: tuple[OddPicture, ...]
    threshold_without: float
    escapes_without: Count | None

    def lines(self) -> list[str]:
        """What the terminal says of the odd pictures: of several, first what all of them do to the threshold."""
        if not self.odd:
            return []
        change = f"the threshold is {self.threshold_without:.4g} instead of {self.threshold:.4g}"
        unlike = "does not look like the other good parts"
        said = [f"{one.path} {unlike} (score {one.score:.4g}, p {one.p_value:.1g}): look at it" for one in self.odd]
        if len(said) == 1:
            return [f"{said[0]}; without it {change}"]
        return [f"without the {len(said)} pictures that do not look like the other good parts {change}", *said]

    def exclude_text(self) -> str:
        """The odd pictures as a file for ``--exclude``."""
        return "".join(f"{one.path}\n" for one in self.odd)


def examine(
    paths: Sequence[Path], scores: Sequence[float], false_reject_rate: float, defective: Sequence[float] = ()
) -> Examination:
    """Names pictures whose scores the others do not explain.

    >>> scores = [*range(90, 110), 400]
    >>> found = examine([Path(f"{i}.png") for i in range(21)], scores, 0.05)
    >>> [(one.path.name, one.threshold_without) for one in found.odd]
    [('20.png', 109.0)]

    Args:
        paths: pictures of good parts.
        scores: the image score of each, positive, under statistics that have not seen it (cross-fitted).
        false_reject_rate: for the threshold.
        defective: scores of defective parts, where some are known.
    """
    values = np.asarray(scores, np.float64)
    order = np.argsort(-values, kind="stable").tolist()
    p_values = {at: p for at, p in zip(order, _p_values(values[order]), strict=False) if p < SIGNIFICANCE}
    named = list(p_values)

    def without(left_out: Sequence[int]) -> tuple[float, Count | None]:
        threshold = conformal_quantile(tuple(np.sort(np.delete(values, left_out)).tolist()), false_reject_rate)
        return threshold, Count(sum(score <= threshold for score in defective), len(defective)) if defective else None

    threshold, escapes = without([])
    return Examination(
        len(values),
        threshold,
        escapes,
        tuple(OddPicture(paths[at], float(values[at]), p_values[at], *without([at])) for at in named),
        *without(named),
    )


def _p_values(descending: Floats) -> list[float]:
    """P-values of the highest scores, the largest first; see :class:`OddPicture`.

    The upper half of the scores has the tail of a power law, as maxima often have. Then the gaps
    ``k log(s_k / s_(k+1))`` of the k-th largest score to the next are independent and exponential with one mean
    (Renyi 1953; Hill, Annals of Statistics 1975). The mean comes from the gaps below the pictures that may be named, so
    that odd ones do not hide each other. The k-th gap has the share 2^-k of the significance.
    """
    count = len(descending)
    most = count // LARGEST_SHARE
    upper = min(max(count // 2, most + 6), count - 1)
    if count < FEWEST or descending[upper] <= 0:
        return []
    ranks = np.arange(1, upper + 1)
    gaps = -ranks * np.diff(np.log(descending[: upper + 1]))
    free = upper - most
    mean = max(float(gaps[most:].mean()), 1e-9)
    logs = math.log(2) * ranks[:most] - free * np.log1p(gaps[:most] / (mean * free))
    least: Floats = np.minimum.accumulate(logs[::-1])[::-1]  # what lies above an odd gap is odd too
    return [math.exp(min(value, 0.0)) for value in least.tolist()]


def read_excluded(path: Path) -> tuple[Path, ...]:
    """The pictures that a file for ``--exclude`` names: one path or file name a line; ``#`` starts a comment line.

    Raises:
        UsageError: the file cannot be read, or is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise UsageError(f"cannot read the list {path}: {reason}") from None
    words = (line.strip() for line in lines)
    return tuple(Path(word) for word in words if word and not word.startswith("#"))


def exclude_products(products: Mapping[str, list[Path]], excluded: Sequence[Path]) -> dict[str, list[Path]]:
    """Product to the pictures that are left; see :func:`exclude`."""
    if not excluded:
        return dict(products)
    kept = set(exclude([path for paths in products.values() for path in paths], excluded))
    return {product: [path for path in paths if path in kept] for product, paths in products.items()}


def exclude(paths: Sequence[Path], excluded: Sequence[Path]) -> list[Path]:
    """The pictures that are left. An entry means every picture whose path ends with it: a name, or folders and name.

    Raises:
        UsageError: an entry means no picture, or no picture is left.
    """
    found: set[Path] = set()
    for entry in excluded:
        parts = [part for part in entry.parts if part != "."]
        meant = [path for path in paths if list(path.parts[-len(parts) :]) == parts]
        meant = meant or [path for path in paths if path.resolve() == entry.resolve()]
        if not meant:
            raise UsageError(
                f"the list of excluded pictures names {entry}, and no such picture is here: correct the line"
            )
        found.update(meant)
    kept = [path for path in paths if path not in found]
    if not kept:
        raise UsageError("the list of excluded pictures leaves none: remove lines from it")
    return kept
