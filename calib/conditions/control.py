"""The control beside every figure: do the pictures of defective parts differ where there is no defect?

A set is confounded when its good and its defective parts were photographed or stored differently. A detector then
separates them without seeing any defect, and its figures mean nothing. The control is the AUROC of a density of
shallow features over what lies away from the defects: near 0.5 on a fair set. Measured on 100 good and 150 defective
pictures: casting impellers 0.76, magnetic tiles 0.58 (0.67 in their corners), bottles 0.49, commutators 0.50.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.calib.conditions.shallow import GRID, REACH, Floats

Cells = NDArray[np.bool_]

MARGIN: Final = 1 / 16
"""Share of the side that is left out around a defect, and never less than the features reach."""
FEWEST_CELLS: Final = 8
"""A picture whose defect leaves fewer cells is left out."""
FEWEST: Final = 8
"""Good and defective pictures below which there is no control."""
TOLERATED: Final = 0.1
"""Distance from 0.5 that is not worth a warning."""
FOLDS: Final = 5


@dataclass(frozen=True)
class Control:
    """Whether good and defective pictures differ away from the defects.

    Attributes:
        auroc: chance that a defective part's surroundings look less usual than a good part's; 0.5 is fair.
        good, defective: pictures behind it.
    """

    auroc: float
    good: int
    defective: int

    @property
    def error(self) -> float:
        """Standard error of the AUROC of sets that do not differ (Mann and Whitney, 1947)."""
        return math.sqrt((self.good + self.defective + 1) / (12 * self.good * self.defective))

    @property
    def differs(self) -> bool:
        """Whether the AUROC is surely (95 %, one-sided) further than :data:`TOLERATED` from 0.5."""
        return abs(self.auroc - 0.5) > TOLERATED + 1.645 * self.error


def corners() -> Cells:
    """``(GRID, GRID)``: a quarter of each side at each corner, for sets without masks."""
    edge = np.arange(GRID)
    outer = (edge < GRID // 4) | (edge >= GRID - GRID // 4)
    return np.logical_and.outer(outer, outer)


def away(mask: Cells) -> Cells:
    """``(GRID, GRID)``: cells that a mask ``(H, W)``, grown by :data:`MARGIN`, does not touch."""
    height, width = mask.shape
    reach = [max(round(side * MARGIN), REACH) for side in (height, width)]
    kernel = np.ones((2 * reach[0] + 1, 2 * reach[1] + 1), np.uint8)
    grown: NDArray[Any] = cv2.dilate(mask.astype(np.uint8), kernel).astype(np.float32)
    if min(mask.shape) < GRID:
        grown = cv2.resize(grown, (4 * GRID, 4 * GRID), interpolation=cv2.INTER_NEAREST)
    touched: Cells = np.asarray(cv2.resize(grown, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float32) > 0
    return ~touched


def control(
    good: Sequence[Floats],
    defective: Sequence[Floats],
    cells: Sequence[Cells],
    reference: Sequence[Floats] = (),
) -> Control | None:
    """Compares pictures away from the defects.

    Good parts are read through the masks of the defective ones, in turn, so that what is left out is alike in both.

    Args:
        good, defective: shallow features of the pictures, ``(GRID, GRID, F)`` each.
        cells: where each defective part is free of defects, ``(GRID, GRID)``.
        reference: features of other good parts (of training) that the density is fitted on. Without them it is fitted
            on the good parts, crosswise: none is scored under a density that has seen it.

    Returns:
        None where there are too few pictures.
    """
    kept = [(image, free) for image, free in zip(defective, cells, strict=True) if free.sum() >= FEWEST_CELLS]
    if len(kept) < FEWEST or len(good) < FEWEST:
        return None
    windows = [free for _, free in kept]
    order = np.random.default_rng(0).permutation(len(windows))
    through = [windows[order[i % len(order)]] for i in range(max(len(good), len(reference)))]
    if len(reference) >= FEWEST:
        density = _Density(reference, through)
        usual = [density(image, free) for image, free in zip(good, through, strict=False)]
        odd = [density(image, free) for image, free in kept]
    else:
        usual, odd = _crosswise(good, through, kept)
    return Control(_auroc(np.array(usual), np.array(odd)), len(usual), len(odd))


def _crosswise(
    good: Sequence[Floats], through: Sequence[Cells], kept: Sequence[tuple[Floats, Cells]]
) -> tuple[list[float], list[float]]:
    """Distances of good parts and of defective ones, the latter as the mean over the folds."""
    fold = np.arange(len(good)) % FOLDS
    usual, odd = np.zeros(len(good)), np.zeros(len(kept))
    for at in range(FOLDS):
        density = _Density([image for image, of in zip(good, fold, strict=True) if of != at], through)
        for i in range(at, len(good), FOLDS):
            usual[i] = density(good[i], through[i])
        odd += [density(image, free) / FOLDS for image, free in kept]
    return usual.tolist(), odd.tolist()


class _Density:
    """One Gaussian of what a picture's free cells have in common, apart from what each cell always shows."""

    def __init__(self, images: Sequence[Floats], through: Sequence[Cells]) -> None:
        stack = np.stack(images)
        self.mean = stack.mean(axis=0)
        self.std = stack.std(axis=(0, 1, 2)) + 1e-3
        pooled = np.stack([self._pool(image, free) for image, free in zip(images, through, strict=False)])
        self.centre = pooled.mean(axis=0)
        rest = pooled - self.centre
        covariance = rest.T @ rest / len(rest)
        diagonal = np.diag(covariance)
        share = max(0.1, len(diagonal) / (len(diagonal) + len(images)))
        shrunk = (1 - share) * covariance + np.diag(share * diagonal + 1e-6)
        self.whiten = np.linalg.cholesky(np.linalg.inv(shrunk))

    def __call__(self, image: Floats, free: Cells) -> float:
        return float(np.square((self._pool(image, free) - self.centre) @ self.whiten).sum())

    def _pool(self, image: Floats, free: Cells) -> Floats:
        """``(2 F,)``: mean and spread over the free cells of how far each is from its usual value."""
        deviations = ((image - self.mean) / self.std)[free]
        return np.concatenate([deviations.mean(axis=0), deviations.std(axis=0)])


def _auroc(usual: Floats, odd: Floats) -> float:
    below = (usual[:, None] < odd).mean() + 0.5 * (usual[:, None] == odd).mean()
    return float(below)
