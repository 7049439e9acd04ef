"""The evaluation page's part for a line engineer: escapes by rate, clean and perturbed, and what parts bear."""

from __future__ import annotations

from html import escape

from edgeirf.calib.evaluation.evaluation import Evaluation
from edgeirf.calib.reports.tables import table
from edgeirf.calib.reports.wording import (
    bounded,
    control_figure,
    escapes_label,
    escapes_remark,
    figure,
    holds_to,
    percent,
)
from edgeirf.runtime.render.charts import reject_curve


def conditions(evaluation: Evaluation) -> str:
    """Figures that a line pays for; with a second column and the curves where pictures were perturbed."""
    columns = [evaluation]
    heading = ["what a line pays for", "clean"]
    if evaluation.perturbed is not None:
        columns.append(evaluation.perturbed.evaluation)
        heading.append(f"perturbed\n{evaluation.perturbed.tolerances}")
    promised = f"false rejects at the threshold\npromised: at most {percent(evaluation.false_reject_rate)}"
    rows = [
        ["image AUROC", *(figure(column.total.image.auroc) for column in columns)],
        ["control AUROC", *(control_figure(column.control) for column in columns)],
        [promised, *(bounded(column.false_rejects) for column in columns)],
        ["escapes at the threshold", *(bounded(column.total.escapes) for column in columns)],
    ]
    for at, found in enumerate(evaluation.total.escapes_at):
        label = f"{escapes_label(found)}\n{escapes_remark(found)}"
        rows.append([label, *(bounded(c.total.escapes_at[at].escapes) if c.total.escapes_at else "-" for c in columns)])
    return table(heading, rows) + _curves(evaluation)


def _curves(evaluation: Evaluation) -> str:
    curves = evaluation.perturbed.curves if evaluation.perturbed else ()
    if not curves:
        return ""
    count = curves[0].rejected[0].trials
    parts = [
        "<h3>What your line must hold</h3>"
        f'<p class="soft">{count} good parts, each changed by one nuisance at a time: the share that is rejected. The '
        f"dashed line is the promise, {percent(curves[0].promised)}; the shaded range is tolerated. Below each curve: "
        "the largest amount tried up to which the rejects do not contradict the promise (95 % confidence).</p>",
        '<div class="curves">',
    ]
    for curve in curves:
        shares = [found.rate or 0.0 for found in curve.rejected]
        chart = reject_curve(curve.amounts, shares, curve.promised, curve.nuisance.tolerated, curve.nuisance.unit)
        parts.append(
            f'<figure class="plot"><figcaption><b>{escape(curve.nuisance.name)}</b></figcaption>{chart}'
            f"<figcaption>holds to: {escape(holds_to(curve))}</figcaption></figure>"
        )
    return "".join(parts) + "</div>"
