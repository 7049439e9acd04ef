"""Fits the density of a method's field: Gaussians on the training parts, units and thresholds on the held-out ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeirf.calib.fitting.density import (
    Scale,
    added,
    distances,
    fit_scales,
    placed_for,
    pooled_moments,
    to_nats,
    windows_for,
)
from edgeirf.calib.fitting.gaussian import Fit, Moments
from edgeirf.export.methods.density import Density
from edgeirf.runtime.scoring import score_field
from edgeirf.settings import Preprocess, Scoring
from edgeirf.trainers.features import FeatureExtractor

Field = NDArray[np.float32]
CHUNK = 64


@dataclass(frozen=True)
class HeldOutFields:
    """Raw fields ``(T, C, h, w)`` of the held-out parts: of their pictures, and of one variant of each."""

    clean: Sequence[Field]
    varied: Sequence[Field]


@dataclass(frozen=True)
class Fitted:
    """What was fitted.

    Attributes:
        scales: the density, for the graph.
        scores, peaks: image score and map maximum of each held-out part, the larger of its two pictures: so that a
            threshold keeps its promise for parts within the tolerances, too.
    """

    scales: tuple[Scale, ...]
    scores: list[float]
    peaks: list[float]


class TrainingFields:
    """Raw fields of the training parts and their variants, computed anew each time they are walked through.

    Args:
        field: the method, features to raw field.
        extractor: knows the features' mean and standard deviation.
        features: phi, ``(n, C, h, w)``.
    """

    def __init__(self, field: nn.Module, extractor: FeatureExtractor, features: Tensor) -> None:
        self._field, self._extractor, self._features = field, extractor, features
        self.grid = extractor.grid
        windows = windows_for(extractor.grid)
        self.moments: dict[int, Moments] = reduce(added, (pooled_moments(each, windows) for each in self))

    def __iter__(self) -> Iterator[Field]:
        """Chunks ``(N, C, h, w)``."""
        for part in self._features.split(CHUNK):
            yield field_of(self._field, self._extractor.standardise(part.float()))


def field_of(module: nn.Module, x: Tensor) -> Field:
    """What a module of the graph makes of its input."""
    with torch.inference_mode():
        field: Field = module(x).numpy()
    return field


def fit(
    training: TrainingFields,
    held_out: HeldOutFields,
    kind: Fit,
    scoring: Scoring,
    settings: Preprocess,
    noise: Mapping[int, Moments] | None = None,
) -> Fitted:
    """Fits the density and scores the held-out parts, which have no part in the Gaussians.

    Args:
        training: fields of the training parts.
        held_out: raw fields.
        kind: of Gaussian.
        scoring: how the field becomes a score.
        settings: size and tiles of the network input.
        noise: of what a reduced precision adds to the field.
    """
    scales = fit_scales(training.moments, training, kind, noise, placed_for(training.grid, kind))
    fields = [*held_out.clean, *held_out.varied]
    largest = [np.array([distances(field, scale).max() for field in fields]) for scale in scales]
    scales = to_nats(scales, largest)
    density = Density(scales)
    scored = [
        score_field(density_field(density, scales, field), scoring, settings.size, settings.tiles) for field in fields
    ]
    pairs = list(zip(scored[: len(held_out.clean)], scored[len(held_out.clean) :], strict=True))
    return Fitted(
        scales,
        [max(clean.score, varied.score) for clean, varied in pairs],
        [max(clean.peak, varied.peak) for clean, varied in pairs],
    )


def density_field(density: Density, scales: Sequence[Scale], raw: Field) -> Field:
    """The output of the graph, ``(T, scales, h, w)``, for a raw field ``(T, C, h, w)``."""
    return field_of(density, torch.from_numpy(scales[0].gaussian.whiten(raw)))


def noise_moments(before: Sequence[Field], after: Sequence[Field], windows: Sequence[int]) -> dict[int, Moments]:
    """Moments of what a reduced precision adds to the fields of the same pictures."""
    return reduce(added, (pooled_moments(b - a, windows) for a, b in zip(before, after, strict=True)))
