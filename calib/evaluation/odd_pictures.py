"""Are all the good parts good? Names pictures that look unlike the others, before one of them sets the threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edgeirf.calib.evaluation.count import Count
from edgeirf.conformal import conformal_quantile
from edgeirf.errors import UsageError

SIGNIFICANCE: Final = 0.05
"""Expected number of pictures named among good parts whose scores follow the law of :class:`OddPicture`."""
FEWEST: Final = 10
"""Pictures below which none is named."""


@dataclass(frozen=True)
class OddPicture:
    """A picture of a good part that does not look like the others.

    Attributes:
        path: the picture.
        score: under statistics that have not seen it.
        p_value: chance that a picture like the others scores as high, by a model: a logistic law of the logarithms of
            the other scores, from their median and quartiles, so that several odd ones do not hide each other.
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
        """One sentence for each odd picture, for the terminal."""
        return [
            f"{one.path} does not look like the other good parts (score {one.score:.4g}, p {one.p_value:.1g}): look at "
            f"it; without it the threshold is {one.threshold_without:.4g} instead of {self.threshold:.4g}"
            for one in self.odd
        ]

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
    p_values = [_p_value(np.delete(values, at), value) for at, value in enumerate(values.tolist())]
    named = [at for at in np.argsort(-values, kind="stable").tolist() if p_values[at] * len(values) < SIGNIFICANCE]

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


def _p_value(others: np.ndarray[tuple[int, ...], np.dtype[np.float64]], score: float) -> float:
    if len(others) < FEWEST - 1 or min(score, others.min()) <= 0:
        return 1.0
    low, middle, high = np.quantile(np.log(others), (0.25, 0.5, 0.75)).tolist()
    scale = (high - low) / (2 * math.log(3))  # a logistic law has its quartiles at -log 3 and log 3
    deviation = math.log(score) - middle
    if scale <= 0:
        return 1.0 if deviation <= 1e-9 else 0.0
    return 1 / (1 + math.exp(min(deviation / scale, 700)))


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
