"""The gate: does a reduced precision still tell good from bad as FP32 does?

Scores of the two graphs are compared as margins: (score - threshold) / spread, where the threshold is each graph's own
and the spread is the standard deviation of FP32's held-out good parts. So zero is the verdict's edge for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgeirf.calib.evaluation.metrics import Floats, ranking
from edgeirf.gate_report import Comparison, GateReport, Limits

LIMITS = {"fp16": Limits(0.2, 0.1), "int8": Limits(0.5, 0.5)}


@dataclass(frozen=True)
class Margins:
    """Margins of one set of pictures under one graph, spreads: ``good`` ``(n,)`` and ``defective`` ``(m,)``."""

    good: Floats
    defective: Floats

    @property
    def all(self) -> Floats:
        """``(n + m,)``, good ones first."""
        return np.concatenate([self.good, self.defective])

    @property
    def auroc(self) -> float | None:
        """None where one side is empty."""
        return ranking(np.arange(len(self.all)) >= len(self.good), self.all).auroc


def compare(reference: Margins, candidate: Margins, limits: Limits) -> Comparison:
    """Compares the margins of the same pictures."""
    before, after = reference.all, candidate.all
    change = np.abs(after - before)
    flipped = (before > 0) != (after > 0)
    outside = np.abs(before) > limits.guard_band
    auroc_before, auroc_after = reference.auroc, candidate.auroc
    loss = 0.0 if auroc_before is None or auroc_after is None else 100 * (auroc_before - auroc_after)
    return Comparison(
        good=len(reference.good),
        defective=len(reference.defective),
        auroc_fp32=auroc_before,
        auroc=auroc_after,
        auroc_loss_points=loss,
        rank_correlation=rank_correlation(before, after),
        largest_change=float(change.max()),
        largest_change_of_good=float(change[: len(reference.good)].max(initial=0.0)),
        flips=int((flipped & outside).sum()),
        flips_in_band=int((flipped & ~outside).sum()),
    )


def refusal(comparisons: Mapping[str, Comparison], limits: Limits) -> str | None:
    """Why the precision is not to be trusted, in a few words; None when it is.

    Args:
        comparisons: name of each set of pictures (``synthetic``, ``labelled``) to what was found on it.
        limits: what it may lose.
    """
    for name, found in comparisons.items():
        if not found.is_finite:
            return "its scores are not finite numbers"
        if found.auroc_loss_points > limits.auroc_points:
            loss, most = found.auroc_loss_points, limits.auroc_points
            return f"it loses {loss:.2f} points of AUROC on {name} defects ({most:g} allowed)"
        if found.flips:
            total = found.good + found.defective
            return f"{found.flips} of {total} clear verdicts change on good parts and {name} defects"
    return None


def findings(report: GateReport, *, with_layers: bool = False) -> str:
    """A graph's report in plain words; empty for one that no gate has seen.

    Args:
        report: of the graph.
        with_layers: name the layers that stayed in float.
    """
    sets = (("labelled", report.labelled), ("synthetic", report.synthetic))
    parts = [_finding(name, found) for name, found in sets if found is not None]
    layers = report.float_layers
    if layers:
        count = f"{len(layers)} of {len(layers) + (report.int8_layers or 0)} layers in float"
        parts.append(f"{count} ({', '.join(layers)})" if with_layers else count)
    return "; ".join(parts)


def _finding(name: str, found: Comparison) -> str:
    loss = found.auroc_loss_points
    change = "equal" if abs(loss) < 0.005 else f"{abs(loss):.2f} points {'lower' if loss > 0 else 'higher'}"
    flips, total = found.flips + found.flips_in_band, found.good + found.defective
    return f"AUROC {change} on {found.defective} {name} defects, {flips} of {total} verdicts differ"


def rank_correlation(first: Floats, second: Floats) -> float:
    """Spearman's rho with mean ranks for ties; 0 where one side is constant."""
    a, b = (_ranks(values) - (len(values) + 1) / 2 for values in (first, second))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else 0.0


def _ranks(values: Floats) -> Floats:
    """``(n,)`` ranks from 1; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means = last - (counts - 1) / 2
    ranks: Floats = means[inverse]
    return ranks
