"""Calibration scores that are fair although the Gaussian is fitted on the same held-out parts.

Each part is scored under statistics of the other folds (cross-conformal prediction: Vovk, Ann. Math. Artif. Intell. 74,
2015), so its score is as that of a part nobody has seen. The bundle then carries statistics of all folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from edgeirf.calib.fitting.gaussian import Fit, Gaussian, Moments, fit_gaussian
from edgeirf.runtime.scoring import density, latent_statistics, score_field, smooth_upsample, stitch
from edgeirf.settings import Preprocess, Scoring

FOLDS = 10
Field = NDArray[np.float32]


@dataclass(frozen=True)
class CrossFit:
    """What was learned from the raw fields of held-out good parts.

    Attributes:
        gaussian: of all parts, for the bundle.
        scoring: with InvAD's statistics of all parts filled in.
        scores, peaks: image score and map maximum of each part under the other folds' statistics.
    """

    gaussian: Gaussian
    scoring: Scoring
    scores: list[float]
    peaks: list[float]


def cross_fit(fields: Sequence[Field], fit: Fit, scoring: Scoring, settings: Preprocess, invad: bool) -> CrossFit:
    """Fits the statistics and scores every part fairly.

    Args:
        fields: one raw field ``(T, C, h, w)`` for each held-out part.
        fit: kind of Gaussian; InvAD's latents are scored under ``standard``.
        scoring: how the field becomes a score.
        settings: size and tiles of the network input.
        invad: whether to fit InvAD's latent statistics.
    """
    folds = [range(start, len(fields), min(FOLDS, len(fields))) for start in range(min(FOLDS, len(fields)))]
    moments = [reduce(add, (Moments.of(fields[i]) for i in fold)) for fold in folds]
    everything = reduce(add, moments)
    terms = [_latent_terms(field, scoring, settings) for field in fields] if invad else []
    scores, peaks = [0.0] * len(fields), [0.0] * len(fields)
    for fold, own in zip(folds, moments, strict=True):
        gaussian = fit_gaussian(everything - own if len(folds) > 1 else everything, fit)
        others = [term for i, term in enumerate(terms) if i not in fold or len(folds) == 1]
        rules = replace(scoring, latent=_latent(others)) if invad else scoring
        for i in fold:
            scored = score_field(gaussian.whiten(fields[i]), rules, settings.size, settings.tiles)
            scores[i], peaks[i] = scored.score, scored.peak
    final = replace(scoring, latent=_latent(terms)) if invad else scoring
    return CrossFit(fit_gaussian(everything, fit), final, scores, peaks)


def _latent_terms(field: Field, scoring: Scoring, settings: Preprocess) -> tuple[float, float]:
    size = (settings.size[0] * settings.tiles[0], settings.size[1] * settings.tiles[1])
    smooth = smooth_upsample(stitch(density(field, scoring), settings.tiles), size, scoring.sigma)
    return latent_statistics(field, smooth)


def _latent(terms: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    values = np.asarray(terms, np.float64)
    mean, std = values.mean(0), np.maximum(values.std(0), 1e-9)
    return float(mean[0]), float(std[0]), float(mean[1]), float(std[1])
