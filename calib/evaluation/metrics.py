"""How well scores separate defects from good parts. The definitions are scikit-learn's, as in the papers' tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Threshold-free figures; each is None where there are no good or no defective samples to compare.

    Attributes:
        auroc: area under the ROC: the probability that a defect scores higher than a good one, ties half.
        ap: average precision, the sum of precision times the step in recall.
        f1max: the largest F1 over all thresholds.
    """

    auroc: float | None
    ap: float | None
    f1max: float | None


UNDEFINED = Ranking(None, None, None)


def need_scikit_learn() -> None:
    """Raises :class:`UsageError` when scikit-learn is not installed: better before an hour of inspection than after."""
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise UsageError("evaluation needs scikit-learn: pip install '.[eval]' in the clone") from None


def ranking(defect: NDArray[np.bool_], scores: Floats, weights: Floats | None = None) -> Ranking:
    """Compares scores with labels.

    Args:
        defect: ``(n,)``, True for a defect.
        scores: ``(n,)``, larger is more anomalous.
        weights: ``(n,)`` how often each sample counts; None for once.
    """
    if defect.all() or not defect.any():
        return UNDEFINED
    from sklearn import metrics

    precision, recall, _ = metrics.precision_recall_curve(defect, scores, sample_weight=weights)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    return Ranking(
        float(metrics.roc_auc_score(defect, scores, sample_weight=weights)),
        float(metrics.average_precision_score(defect, scores, sample_weight=weights)),
        float(f1.max()),
    )


def roc(defect: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """``(k,)`` false- and true-positive rates, ascending from (0, 0) to (1, 1), one point a distinct score."""
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(defect[order])[last_of_ties]
    alarms = np.cumsum(~defect[order])[last_of_ties]
    return np.append(0.0, alarms / max(int(alarms[-1]), 1)), np.append(0.0, hits / max(int(hits[-1]), 1))
