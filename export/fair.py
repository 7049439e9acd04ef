"""Fair scores of good parts: of each under a training and Gaussians that have not seen it; they set the thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from edgeirf.calib.fitting.gaussian import Fit, Moments
from edgeirf.conformal import Calibration
from edgeirf.errors import UsageError
from edgeirf.export.methods.fit import Field, Fitted, HeldOutFields, TrainingFields, field_of, fit
from edgeirf.export.methods.graph import BundleGraph
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import normalise
from edgeirf.settings import Preprocess, Scoring
from edgeirf.trainers.feature_cache import load_features
from edgeirf.trainers.features import FeatureExtractor
from edgeirf.trainers.folds import folds_of, unfinished
from edgeirf.trainers.run import Run

Fair = Mapping[str, Sequence[tuple[float, float]]]
"""Product to image score and map maximum of each part."""


@dataclass(frozen=True)
class Parts:
    """Good parts of one training.

    Attributes:
        counts: product to the number of its held-out parts.
        training: raw fields of the training parts.
        held_out: raw fields of the held-out parts, product after product.
    """

    counts: Mapping[str, int]
    training: TrainingFields
    held_out: HeldOutFields

    @classmethod
    def of(cls, run: Run, extractor: FeatureExtractor, field: nn.Module) -> Parts:
        """Computes the fields.

        Args:
            run: a finished training.
            extractor, field: of its model: picture to features, features to raw field.
        """
        graph, settings, parts = BundleGraph(extractor, field), run.config.preprocess, run.held_out()

        def fields(pictures: Iterable[Pixels]) -> list[Field]:
            return [field_of(graph, torch.from_numpy(normalise(picture, settings))) for picture in pictures]

        return cls(
            {product: len(part.clean) for product, part in parts.items()},
            TrainingFields(field, extractor, load_features(run, extractor.channels, extractor.grid)),
            HeldOutFields(
                fields([picture for part in parts.values() for picture in part.clean]),
                fields([picture for part in parts.values() for picture in part.varied]),
            ),
        )

    def fair(
        self,
        kind: Fit,
        scoring: Scoring,
        settings: Preprocess,
        noise: Mapping[int, Moments] | None = None,
        changes: Sequence[Field] = (),
    ) -> Fair:
        """Scores of the held-out parts under a density of this training.

        Args:
            kind: of Gaussian.
            scoring, settings: see :func:`edgeirf.export.methods.fit.fit`.
            noise: of what a reduced precision adds to the field.
            changes: what it added to the fields of some other parts; like ``noise``, taken to be independent of the
                part.
        """
        added = HeldOutFields(*(_changed(fields, changes) for fields in (self.held_out.clean, self.held_out.varied)))
        return by_product(self.counts, fit(self.training, added, kind, scoring, settings, noise))


def _changed(fields: Sequence[Field], changes: Sequence[Field]) -> Sequence[Field]:
    return [field + changes[i % len(changes)] for i, field in enumerate(fields)] if changes else fields


def by_product(counts: Mapping[str, int], fitted: Fitted) -> Fair:
    """The scores of a fit, product by product."""
    left = zip(fitted.scores, fitted.peaks, strict=True)
    return {product: [next(left) for _ in range(count)] for product, count in counts.items()}


def pooled(first: Fair, *others: Fair) -> Fair:
    """The scores of several trainings together."""
    return {product: [pair for fair in (first, *others) for pair in fair[product]] for product in first}


def calibrations(fair: Fair, odd: Mapping[str, int]) -> dict[str, Calibration]:
    """Product to the fair scores of its parts, of which ``odd`` set no threshold."""
    return {
        product: Calibration(
            tuple(sorted(float(score) for score, _ in pairs)),
            tuple(sorted(float(peak) for _, peak in pairs)),
            odd.get(product, 0),
        )
        for product, pairs in fair.items()
    }


def finished_folds(run: Run) -> list[Run]:
    """The folds of a run that is cross-fitted, else none.

    Raises:
        UsageError: one is missing or unfinished.
    """
    if run.config.cross_fit and unfinished(run):
        raise UsageError(f"{run.folder} is cross-fitted and not finished: edgeirf train --resume {run.folder}")
    return folds_of(run)
