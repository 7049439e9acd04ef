"""Old and new thresholds side by side."""

from __future__ import annotations

from html import escape

import edgeirf
from edgeirf.calib.evaluation.count import Count
from edgeirf.calib.recalibrate import Recalibration
from edgeirf.calib.reports.odd_page import panel
from edgeirf.calib.reports.tables import key_figure, table
from edgeirf.calib.reports.wording import counted, percent
from edgeirf.runtime.render.charts import held_out_histogram
from edgeirf.runtime.render.page import PAGE


def recalibration_page(found: Recalibration) -> str:
    """The page, self-contained."""
    name = escape(found.before.name)
    body = [
        f"<h1>{name}: thresholds before and after</h1>",
        f'<p class="soft">{escape(found.product)}: {found.examined.count} fresh good parts. '
        "The network is the same.</p>",
        f'<div class="keys">{_keys(found)}</div>',
        table(("graph", "threshold before", "after", "change", "pixel threshold before", "after"), _rows(found)),
        '<div class="curves">',
        *(_chart(found, title, manifest_is_new) for title, manifest_is_new in (("Before", False), ("After", True))),
        "</div>",
    ]
    if found.examined.odd:
        body.append(
            "<h3>Fresh parts that do not look like the others</h3><p>They set no threshold. If a part is defective, or "
            "the picture is spoilt, leave it out with --exclude FILE.</p>"
        )
        body.append(f'<div class="panels">{"".join(panel(one, None) for one in found.examined.odd[:20])}</div>')
    return PAGE.substitute(
        title=f"{name}: edgeirf recalibrate", version=edgeirf.__version__, turbo="", body="\n".join(body)
    )


def _keys(found: Recalibration) -> str:
    old, new = (m.models["fp32"].calibration[found.product] for m in (found.before, found.after))
    before, after = found.thresholds("fp32")
    rejected = Count(found.rejected_before, len(found.scores))
    keys = (
        ("threshold before", f"{before:.4g}", f"{old.count} held-out parts"),
        ("threshold after", f"{after:.4g}", f"{new.count} fresh parts, {new.odd} odd"),
        ("promise before", f"\u2264 {percent(old.rate(found.rate))}", "false rejects"),
        ("promise after", f"\u2264 {percent(new.rate(found.rate))}", f"false rejects; {percent(found.rate)} asked for"),
        ("old threshold rejects", counted(rejected), "of the fresh good parts"),
    )
    return "".join(key_figure(*key) for key in keys)


def _rows(found: Recalibration) -> list[list[str]]:
    rows = []
    for key in found.after.models:
        old, new = (m.models[key].calibration[found.product] for m in (found.before, found.after))
        before, after = found.thresholds(key)
        change = f"{100 * (after / before - 1):+.1f} %" if before > 0 else "-"
        pixel = [f"{parts.pixel_threshold(found.rate):.4g}" for parts in (old, new)]
        rows.append([key, f"{before:.4g}", f"{after:.4g}", change, *pixel])
    return rows


def _chart(found: Recalibration, title: str, new: bool) -> str:
    manifest = found.after if new else found.before
    parts = manifest.models["fp32"].calibration[found.product]
    chart = held_out_histogram(parts.scores, parts.score_threshold(found.rate))
    return f'<figure class="plot"><figcaption>{title}</figcaption>{chart}</figure>'
