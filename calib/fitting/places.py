"""A Gaussian of its own for each place of the part, in few directions.

Good parts lie roughly the same way, so each place of the grid has its own normal: an edge varies along other directions
than a plain surface. A full covariance for each place (PaDiM, Defard et al., arXiv 2011.08785) has C^2 numbers a place
and a good part gives only one sample of it. Probabilistic principal component analysis (Tipping & Bishop, J. R. Stat.
Soc. B 61, 1999) keeps the K directions in which a place varies most, and one variance for all the others:

    Sigma = sum_k lambda_k v_k v_k^T + nu (1 - sum_k v_k v_k^T)
    x^T Sigma^-1 x = (|x|^2 - sum_k (1 - nu / lambda_k) (v_k^T x)^2) / nu

nu is the geometric mean of the other eigenvalues. A place has few samples, so its covariance is shrunk towards that of
all places together, which is the unit in a whitened field and counts as much as C samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeirf.calib.fitting.gaussian import Moments

Floats = NDArray[np.float32]

MOST = 1024
"""Places of a grid: more would make the graph heavier than its network."""
DIRECTIONS = 32
"""K, of some 200 channels."""
SAMPLES_A_DIRECTION = 4
"""Fewer samples do not show a direction."""


@dataclass(frozen=True, eq=False)
class Places:
    """The Gaussians of P places in row-major order, of a field that is whitened for all places together.

    Attributes:
        grid: ``(h', w')``, P places in all.
        mean: ``(P, C)``.
        directions: v_k, ``(P, K, C)``.
        known: 1 - nu / lambda_k, ``(P, K)``.
        precision: 1 / nu, ``(P,)``.
    """

    grid: tuple[int, int]
    mean: Floats
    directions: Floats
    known: Floats
    precision: Floats

    def distances(self, field: NDArray[np.float64]) -> NDArray[np.float64]:
        """Half the squared Mahalanobis distance of every place, ``(N, C, h, w)`` to ``(N, h, w)``."""
        vectors = field.reshape(*field.shape[:2], -1).transpose(2, 0, 1)
        read = np.ascontiguousarray(vectors, np.float32) - self.mean[:, None]
        along = np.square(read @ self.directions.transpose(0, 2, 1)) @ self.known[:, :, None]
        squares = (np.square(read).sum(-1) - along[..., 0]).astype(np.float64) * self.precision[:, None]
        distances: NDArray[np.float64] = 0.5 * np.maximum(squares, 0).T.reshape(len(field), *self.grid)
        return distances


class PlaceMoments:
    """Sums over good parts for each place.

    Args:
        grid: ``(h', w')``.
        channels: C.
    """

    def __init__(self, grid: tuple[int, int], channels: int) -> None:
        self._grid, self._count = grid, 0
        places = grid[0] * grid[1]
        self._total = np.zeros((places, channels))
        self._outer = np.zeros((places, channels, channels), np.float32)

    def add(self, field: NDArray[np.float64]) -> None:
        """Adds a whitened field ``(N, C, h, w)``."""
        read = np.ascontiguousarray(field.reshape(*field.shape[:2], -1).transpose(2, 1, 0), np.float32)
        self._count += len(field)
        self._total += read.sum(-1, dtype=np.float64)
        self._outer += read @ read.transpose(0, 2, 1)

    def fit(self, noise: Moments | None = None) -> Places:
        """The Gaussians.

        Args:
            noise: of what a reduced precision adds to the whitened field, independent of it.
        """
        mean = self._total / self._count
        covariance = self._outer / self._count - (mean[:, :, None] * mean[:, None, :]).astype(np.float32)
        if noise is not None:
            mean, covariance = mean + noise.mean, covariance + noise.covariance.astype(np.float32)
        channels = mean.shape[1]
        usual = np.trace(covariance, axis1=1, axis2=2)[:, None, None] / channels
        share = channels / (channels + self._count)
        shrunk = (1 - share) * covariance + share * usual * np.eye(channels, dtype=np.float32)
        values, vectors = np.linalg.eigh(shrunk)
        kept = min(DIRECTIONS, self._count // SAMPLES_A_DIRECTION, channels // 2)
        values = np.maximum(values, 1e-6 * usual[:, 0])
        nu = np.exp(np.log(values[:, : channels - kept]).mean(1))
        directions = vectors[:, :, channels - kept :].transpose(0, 2, 1)
        return Places(
            self._grid,
            mean.astype(np.float32),
            np.ascontiguousarray(directions.astype(np.float16), np.float32),  # what FP16 holds: half of the bundle
            1 - nu[:, None] / values[:, channels - kept :],
            1 / nu,
        )


def few_enough(grid: Sequence[int], window: int) -> bool:
    """Whether every place of a grid ``(h, w)`` can have a Gaussian for windows of this side."""
    return (grid[0] - window + 1) * (grid[1] - window + 1) <= MOST
