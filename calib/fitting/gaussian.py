"""The Gaussian of the normal field: N(mu, Sigma) over channels, pooled over positions and good parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Fit = Literal["standard", "diagonal", "full"]
Array = NDArray[np.float64]

FLOOR = 1e-6
"""Smallest variance, relative to the median channel's: a channel that never varies must not decide alone."""


@dataclass(frozen=True)
class Moments:
    """Sufficient statistics of a field, addable: count of positions, sum ``(C,)``, sum of outer products ``(C, C)``."""

    count: int
    total: Array
    outer: Array

    @classmethod
    def of(cls, field: NDArray[np.float32] | Array) -> Moments:
        """Of a field ``(..., C, h, w)``."""
        vectors = np.moveaxis(field, -3, -1).reshape(-1, field.shape[-3]).astype(np.float64)
        return cls(len(vectors), vectors.sum(0), vectors.T @ vectors)

    @property
    def mean(self) -> Array:
        """``(C,)``."""
        return self.total / self.count

    @property
    def covariance(self) -> Array:
        """``(C, C)``."""
        return self.outer / self.count - np.outer(self.mean, self.mean)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.outer + other.outer)

    def mapped(self, matrix: Array) -> Moments:
        """Of the field times a matrix ``(C, C)``."""
        return Moments(self.count, matrix @ self.total, matrix @ self.outer @ matrix.T)

    def __sub__(self, other: Moments) -> Moments:
        return Moments(self.count - other.count, self.total - other.total, self.outer - other.outer)


@dataclass(frozen=True)
class Gaussian:
    """mu ``(C,)`` and Sigma^-1/2 ``(C, C)``, float64; r becomes Sigma^-1/2 (r - mu)."""

    mean: Array
    whitener: Array

    def whiten(self, field: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(..., C, h, w)`` to the same, computed in float64."""
        centred = np.moveaxis(field.astype(np.float64), -3, -1) - self.mean
        white = np.moveaxis(centred @ self.whitener.T, -1, -3)
        return np.ascontiguousarray(white.astype(np.float32))

    def unwhiten(self, field: NDArray[np.float32]) -> NDArray[np.float32]:
        """The inverse of :meth:`whiten`."""
        raw = np.moveaxis(field.astype(np.float64), -3, -1) @ np.linalg.inv(self.whitener).T + self.mean
        return np.ascontiguousarray(np.moveaxis(raw, -1, -3).astype(np.float32))

    def after(self, folded: Gaussian) -> Gaussian:
        """What to whiten a field with that ``folded`` has whitened already, to get what this one makes of the raw."""
        return Gaussian(folded.whitener @ (self.mean - folded.mean), self.whitener @ np.linalg.inv(folded.whitener))


def fit_gaussian(moments: Moments, fit: Fit, least_shrinkage: float = 0.01, noise: Moments | None = None) -> Gaussian:
    """Fits mu and Sigma^-1/2.

    Args:
        moments: of the field of good parts.
        fit: ``standard`` is N(0, I) whatever the data (OSD-IRF, arXiv 2604.18393); ``diagonal``; ``full``: the
            covariance shrunk towards its diagonal by the share that Schaefer & Strimmer's estimator
            (Stat. Appl. Genet. Mol. Biol. 4, 2005) gives for ``count`` independent samples.
        least_shrinkage: share of ``full`` below which it does not go.
        noise: of an independent noise on top of the field; None for none.
    """
    channels = len(moments.total)
    if fit == "standard":
        return Gaussian(np.zeros(channels), np.eye(channels))
    mean = moments.mean if noise is None else moments.mean + noise.mean
    covariance = moments.covariance if noise is None else moments.covariance + noise.covariance
    variance = np.diag(covariance).copy()
    variance = np.maximum(variance, FLOOR * float(np.median(variance)) + 1e-12)
    if fit == "diagonal":
        return Gaussian(mean, np.diag(variance**-0.5))
    np.fill_diagonal(covariance, variance)
    share = max(_shrinkage(covariance, moments.count), least_shrinkage)
    shrunk = (1 - share) * covariance + share * np.diag(variance)
    values, vectors = np.linalg.eigh(shrunk)
    values = np.maximum(values, FLOOR * float(np.median(values)))
    return Gaussian(mean, (vectors * values**-0.5) @ vectors.T)


def _shrinkage(covariance: Array, count: int) -> float:
    """Sum of Var(r_ij) over sum of r_ij^2 off the diagonal, with Var(r) = (1 - r^2)^2 / (n - 1) of normal samples."""
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    off = ~np.eye(len(scale), dtype=bool)
    squares = np.square(correlation[off])
    noise = np.sum(np.square(1 - squares)) / max(count - 1, 1)
    return float(np.clip(noise / max(float(np.sum(squares)), 1e-12), 0.0, 1.0))
