"""``report.html`` of a bundle: what the model is, what its thresholds rest on, what each precision costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from edgeirf.calib.evaluation.binomial import upper_bound
from edgeirf.calib.reports.evaluation_page import turbo_gradient
from edgeirf.calib.reports.pictures import data_uri
from edgeirf.calib.reports.tables import key_figure, table
from edgeirf.calib.reports.wording import date, percent
from edgeirf.manifest import Manifest, Model
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.render.charts import held_out_histogram
from edgeirf.runtime.render.overlay import OCTAVES, overlay, to_bgr8
from edgeirf.runtime.render.page import PAGE
from edgeirf.runtime.scoring import Scored

SHOWN = 6
"""Held-out parts with the highest scores that are drawn for each product."""


def model_page(manifest: Manifest, executor: CpuExecutor, pictures: Mapping[str, Sequence[Pixels]]) -> str:
    """The page, self-contained.

    Args:
        manifest: of the bundle that is being written.
        executor: runs the bundle's fp32 graph.
        pictures: product to prepared pixels ``(T, height, width, 3)`` RGB of its held-out parts.
    """
    method = manifest.method
    times = ", ".join(map(str, method.timesteps))
    body = [
        f"<h1>{escape(manifest.name)}</h1>",
        f'<p class="soft">Made {escape(date(manifest.created))} with edgeirf {escape(manifest.edgeirf)}: '
        f"{escape(method.name)} at t = {times}, {escape(method.gaussian)} Gaussian, "
        f"backbone {escape(method.backbone)}, noise network {escape(method.preset)}.</p>",
    ]
    if len(manifest.models) > 1:
        body.append("<h3>Precisions</h3>" + _precisions(manifest.models))
    for product, images in pictures.items():
        body.append(_product(manifest, product, executor, images))
    title = f"{manifest.name}: edgeirf model"
    return PAGE.substitute(title=escape(title), version=manifest.edgeirf, turbo=turbo_gradient(), body="\n".join(body))


def _precisions(models: Mapping[str, Model]) -> str:
    """One row a graph: its gate, and every plain figure of its report."""
    names = dict.fromkeys(name for model in models.values() for name in model.report.figures)
    rows = []
    for key, model in models.items():
        gate = "passed" if model.refused is None else f"refused\n{model.refused}"
        stated = model.report.figures
        figures = [f"{stated[name]:.3g}" if name in stated else "" for name in names]
        rows.append([f"{key}\n{model.family if model.family != 'any' else 'every back end'}", gate, *figures])
    return table(("graph", "gate", *names), rows)


def _product(manifest: Manifest, product: str, executor: CpuExecutor, images: Sequence[Pixels]) -> str:
    held_out, asked = manifest.models["fp32"].calibration[product], manifest.false_reject_rate
    threshold, pixel_threshold = held_out.score_threshold(asked), held_out.pixel_threshold(asked)
    above = sum(score > threshold for score in held_out.scores)
    keys = [
        key_figure("held-out good parts", str(held_out.count), "not trained on"),
        key_figure("threshold", f"{threshold:.4g}", f"{above} held-out parts above"),
        key_figure("false rejects promised", f"\u2264 {percent(held_out.rate(asked))}", f"asked for: {percent(asked)}"),
        key_figure("at 95 % confidence", f"\u2264 {percent(upper_bound(above, held_out.count))}", "for these parts"),
    ]
    chart = held_out_histogram(held_out.scores, threshold)
    found = [(executor.score_pixels(image), image) for image in images]
    found.sort(key=lambda pair: -pair[0].score)
    tiles = manifest.preprocess.tiles
    panels = "".join(_panel(image, scored, pixel_threshold, tiles) for scored, image in found[:SHOWN])
    return (
        f'<h2>{escape(product)}</h2><div class="keys">{"".join(keys)}</div>'
        f'<figure class="plot"><figcaption>Image scores of the held-out good parts</figcaption>{chart}</figure>'
        f'<div class="scale"><span>anomaly map: pixel threshold {pixel_threshold:.4g}</span><i></i>'
        f"<span>{2**OCTAVES:g} times that and above</span></div>"
        '<h3>Held-out parts with the highest scores</h3><p class="soft">What sets the threshold: look whether they '
        f'really are good parts.</p><div class="panels">{panels}</div>'
    )


def _panel(prepared: Pixels, scored: Scored, pixel_threshold: float, tiles: tuple[int, int]) -> str:
    rows, columns = tiles
    _, height, width, _ = prepared.shape
    whole = prepared.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)
    frame: Any = np.ascontiguousarray(whole[..., ::-1])
    uris = (data_uri(to_bgr8(frame)), data_uri(overlay(frame, scored.map, pixel_threshold, ())))
    images = "".join(f'<img src="{uri}" alt="">' for uri in uris)
    caption = f"<figcaption><span>score {scored.score:.4g}</span></figcaption>"
    return f'<figure class="panel"><div>{images}</div>{caption}</figure>'
