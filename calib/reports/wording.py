"""Figures as people read them, the same in the terminal and in the report."""

from __future__ import annotations

from collections.abc import Sequence

from edgeirf.calib.conditions.control import Control
from edgeirf.calib.evaluation.count import Count
from edgeirf.calib.evaluation.curves import Curve
from edgeirf.calib.evaluation.escapes import EscapesAt
from edgeirf.calib.evaluation.evaluation import Evaluation


def figure(value: float | None) -> str:
    """A figure between 0 and 1 to four digits; 1.0000 only when it is exactly one."""
    if value is None:
        return "-"
    return "1.0000" if value == 1 else f"{min(value, 0.9999):.4f}"


def percent(share: float | None) -> str:
    """A share in per cent, three significant digits."""
    return "-" if share is None else f"{100 * share:.3g} %"


def counted(count: Count) -> str:
    """``1 of 20 (\u2264 21.6 %)``: measured, and what the true rate may be at 95 % confidence."""
    return f"{count.events} of {count.trials} (\u2264 {percent(count.at_most)})" if count.trials else "-"


def bounded(count: Count) -> str:
    """``21 of 50 (30.2 to 54.6 %)``: measured, and between which rates the true one lies, each at 95 % confidence."""
    if not count.trials:
        return "-"
    low, high = (f"{100 * (bound or 0.0):.3g}" for bound in (count.at_least, count.at_most))
    return f"{count.events} of {count.trials} ({low} to {high} %)"


def escapes_label(found: EscapesAt) -> str:
    """``escapes at 0.5 % false rejects``."""
    return f"escapes at {percent(float(found.rate))} false rejects"


def escapes_remark(found: EscapesAt) -> str:
    """What the number of good parts allows, where it does not resolve the rate; else nothing."""
    good = found.false_rejects.trials
    return "" if found.resolved else f"{good} good parts cannot resolve this rate: none of them is rejected here"


def control_figure(control: Control | None) -> str:
    """``0.4741 ± 0.0749``: the AUROC away from the defects and its standard error on fair sets."""
    return "-" if control is None else f"{figure(control.auroc)} ± {control.error:.2g}"


def holds_to(curve: Curve) -> str:
    """Up to which amount a nuisance leaves the good parts alone."""
    held, unit = curve.holds_to, curve.nuisance.unit
    unit = f" {unit}"
    if held is None:
        return "not even without change"
    if held == curve.amounts[-1]:
        return f"{held:.3g}{unit} and more"
    return f"{held:.3g}{unit}" if held else f"less than {curve.amounts[1]:.3g}{unit}"


def date(text: str) -> str:
    """``2026-01-01T12:00:00+00:00`` as ``2026-01-01 12:00 UTC``; other texts as they are."""
    return f"{text[:10]} {text[11:16]} UTC" if text[10:11] == "T" and text[19:] in ("Z", "+00:00") else text


def titles(evaluations: Sequence[Evaluation]) -> list[str]:
    """A short name for each: the bundle's file, with the product where one file is there several times."""
    names = [evaluation.bundle.name for evaluation in evaluations]
    if len(set(names)) == len(names):
        return names
    return [f"{name} {evaluation.product}" for name, evaluation in zip(names, evaluations, strict=True)]


def remarks(evaluation: Evaluation) -> list[str]:
    """What a reader must know beside the figures, one sentence each."""
    lines = []
    if not evaluation.good:
        lines.append("No good parts here, so nothing to compare defects with: put some into good/.")
    if not evaluation.defective:
        lines.append("No defects here, so only false rejects can be measured.")
    elif evaluation.total.pixel.auroc is None:
        lines.append("No masks here, so no pixel figures: masks go to ground_truth/<defect>/<image>_mask.png.")
    elif evaluation.without_mask:
        lines.append(f"{evaluation.without_mask} defective images have no mask and are left out of the pixel figures.")
    if evaluation.control is not None and evaluation.control.differs:
        lines.append(
            f"Warning: the pictures of good and defective parts differ elsewhere too (control AUROC "
            f"{figure(evaluation.control.auroc)}): these figures do not show that defects are found."
        )
    unresolved = [found for found in evaluation.total.escapes_at if not found.resolved]
    if unresolved:
        rates = ", ".join(f"{100 * float(found.rate):g}" for found in unresolved)
        lines.append(
            f"{len(evaluation.good)} good parts cannot resolve {rates} % false rejects: escapes there are counted with "
            "no good part rejected."
        )
    if evaluation.failures:
        lines.append(f"{len(evaluation.failures)} images or masks could not be used.")
    return lines
