"""An evaluation as one self-contained web page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np

import edgeirf
from edgeirf.calib.evaluation.evaluation import Evaluation
from edgeirf.calib.evaluation.metrics import roc
from edgeirf.calib.reports.conditions import conditions
from edgeirf.calib.reports.pictures import Panel, galleries, render
from edgeirf.calib.reports.tables import key_figure, table
from edgeirf.calib.reports.wording import counted, date, figure, percent, remarks, titles
from edgeirf.files import write_text
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.render.charts import histogram, roc_curve
from edgeirf.runtime.render.overlay import OCTAVES
from edgeirf.runtime.render.page import PAGE

Result = tuple[Evaluation, Detector]

DEFINITIONS = """\
AUROC: chance that a defect scores higher than a good part. AP: average precision. F1-max: best F1 over all thresholds.
Pixel figures compare maps and masks at the resolution of the frame, inside the region of interest; AUPRO is the mean
overlap with each defective region up to 30 % false-positive pixels, divided by 0.3. None of these uses the threshold;
false rejects and escapes do. Escape: a defective part that passes. Escapes at a rate: the good test parts set the
threshold, so that at most that share of them is rejected. At most, \u2264, and ranges: exact bounds of the true rate,
each at 95 % confidence (Clopper-Pearson). Control: AUROC of shallow features (light, sharpness, noise, compression)
away from the defects; a fair set has about 0.5, \u00b1 is its standard error there. Perturbed: each picture changed at
random, but always alike, within the tolerances named. p: share of good parts expected to score at least this high."""


def write_report(path: str | os.PathLike[str], results: Sequence[Result]) -> None:
    """Writes the page of one or several evaluations of one folder.

    Raises:
        EdgeirfError: the file cannot be written, or an image is gone.
    """
    write_text(path, report(results))


def report(results: Sequence[Result]) -> str:
    """The page; each evaluation comes with its detector, which draws the pictures."""
    evaluations = [evaluation for evaluation, _ in results]
    names = ", ".join(dict.fromkeys(evaluation.bundle.name for evaluation in evaluations))
    body = [f"<h1>{escape(names)}</h1>"]
    if len(results) > 1:
        body.append(_comparison(evaluations))
    for (evaluation, detector), title in zip(results, titles(evaluations), strict=True):
        body.append(f"<h2>{escape(title)}</h2>" if len(results) > 1 else "")
        body.append(section(evaluation, detector))
    body.append(f"<footer><p>{escape(DEFINITIONS)}</p><p>edgeirf {edgeirf.__version__}</p></footer>")
    return PAGE.substitute(
        title=escape(f"{names}: edgeirf evaluation"),
        version=edgeirf.__version__,
        turbo=turbo_gradient(),
        body="\n".join(body),
    )


def section(evaluation: Evaluation, detector: Detector) -> str:
    """Everything about one bundle."""
    manifest = detector.bundle.manifest
    parts = [
        f'<p class="soft">On {escape(str(evaluation.folder))}. {escape(evaluation.model)}, created '
        f"{escape(date(manifest.created))}: {escape(evaluation.method)}, {escape(evaluation.precision)}, backbone "
        f"{escape(manifest.method.backbone)}, product {escape(evaluation.product)}.</p>"
    ]
    parts += [f"<p>{escape(line)}</p>" for line in remarks(evaluation)]
    parts += [_keys(evaluation), _plots(evaluation, detector), conditions(evaluation)]
    if evaluation.per_defect:
        parts.append(_defects(evaluation))
    parts.append(_pictures(evaluation, detector))
    return "\n".join(parts)


def _keys(evaluation: Evaluation) -> str:
    total = evaluation.total
    images = f"{len(evaluation.good)} good, {len(evaluation.defective)} defective images"
    cards = [key_figure("image AUROC", figure(total.image.auroc), images)]
    if total.pixel.auroc is not None:
        cards.append(key_figure("pixel AUROC", figure(total.pixel.auroc), f"AP {figure(total.pixel.ap)}"))
        cards.append(key_figure("AUPRO", figure(total.aupro), "to 30 % false-positive pixels"))
    for label, count, promised in (
        ("false rejects", evaluation.false_rejects, f"promised: at most {percent(evaluation.false_reject_rate)}"),
        ("escapes", total.escapes, ""),
    ):
        note = (
            f"{percent(count.rate)}, true rate at most {percent(count.at_most)}" if count.trials else "none to measure"
        )
        value = f"{count.events} of {count.trials}" if count.trials else "-"
        cards.append(key_figure(label, value, "; ".join(filter(None, (note, promised)))))
    if evaluation.control is not None:
        note = "pictures differ elsewhere too" if evaluation.control.differs else "away from defects: fair near 0.5"
        cards.append(key_figure("control AUROC", figure(evaluation.control.auroc), note))
    return f'<div class="keys">{"".join(cards)}</div>'


def _plots(evaluation: Evaluation, detector: Detector) -> str:
    good = [image.score for image in evaluation.good]
    defective = [image.score for image in evaluation.defective]
    scores = histogram(good, defective, detector.calibration.scores, evaluation.threshold)
    legend = f"Image scores; ticks below the axis: the {evaluation.held_out} held-out good parts behind the threshold"
    plots = [f'<figure class="plot"><figcaption>{legend}</figcaption>{scores}</figure>']
    if good and defective:
        labels = np.repeat([False, True], [len(good), len(defective)])
        false, true = roc(labels, np.array([*good, *defective]))
        at = (evaluation.false_rejects.rate or 0.0, 1 - (evaluation.total.escapes.rate or 0.0))
        curve = roc_curve(false, true, at)
        caption = "ROC over images; the dot is the threshold"
        plots.append(f'<figure class="plot"><figcaption>{caption}</figcaption>{curve}</figure>')
    return f'<div class="plots">{"".join(plots)}</div>'


def _defects(evaluation: Evaluation) -> str:
    heading = ("defect", "escapes", "image AUROC", "image AP", "pixel AUROC", "pixel AP", "AUPRO")
    rows = []
    for name, found in evaluation.per_defect.items():
        values = (found.image.auroc, found.image.ap, found.pixel.auroc, found.pixel.ap, found.aupro)
        rows.append([name, counted(found.escapes), *map(figure, values)])
    return "<h3>By defect</h3>" + table(heading, rows)


def _comparison(evaluations: Sequence[Evaluation]) -> str:
    heading = ("bundle", "image AUROC", "AP", "F1-max", "pixel AUROC", "AP", "F1-max", "AUPRO", "escapes")
    rows = []
    for found, title in zip(evaluations, titles(evaluations), strict=True):
        image, pixel = found.total.image, found.total.pixel
        values = (image.auroc, image.ap, image.f1max, pixel.auroc, pixel.ap, pixel.f1max, found.total.aupro)
        escaped = f"{found.total.escapes.events} of {found.total.escapes.trials}"
        rows.append([f"{title}\n{found.method}, {found.precision}", *map(figure, values), escaped])
    return table(heading, rows)


def _pictures(evaluation: Evaluation, detector: Detector) -> str:
    parts = [
        f'<div class="scale"><span>anomaly map: pixel threshold {evaluation.pixel_threshold:.4g}</span><i></i>'
        f"<span>{2**OCTAVES:g} times that and above</span></div>"
    ]
    for gallery in galleries(evaluation):
        panels = "".join(_panel(render(detector, judged), evaluation) for judged in gallery.images)
        title, note = escape(gallery.title), escape(gallery.note)
        parts.append(f'<h3>{title}</h3><p class="soft">{note}</p><div class="panels">{panels}</div>')
    return "\n".join(parts)


def _panel(panel: Panel, evaluation: Evaluation) -> str:
    sample = panel.judged.sample
    images = "".join(f'<img src="{uri}" alt="{caption}">' for caption, uri in panel.pictures)
    name = f"{sample.defect}/{sample.path.name}"
    kind = "rejected" if panel.judged.reject else "passed"
    # Wrong is red, right is green.
    colour = "alarm" if panel.judged.reject == (panel.judged in evaluation.good) else "fine"
    return (
        f'<figure class="panel"><div>{images}</div><figcaption><b>{escape(name)}</b>'
        f'<span>score {panel.judged.score:.4g}, p {panel.judged.p_value:.2g}, <span class="{colour}">{kind}</span>'
        "</span></figcaption></figure>"
    )


def turbo_gradient() -> str:
    """Colours of :func:`edgeirf.runtime.render.overlay.overlay` from the threshold up, as stops of a CSS gradient."""
    levels = np.linspace(128, 255, 12).round().astype(np.uint8).reshape(-1, 1)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_TURBO).reshape(-1, 3)
    return ", ".join(f"rgb({red} {green} {blue})" for blue, green, red in colours.tolist())
