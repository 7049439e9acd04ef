"""``edgeirf info``: what a bundle is, in plain words."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from edgeirf.bundle import REPORT, Bundle
from edgeirf.cli.console import print_page
from edgeirf.conformal import Calibration
from edgeirf.files import write_bytes
from edgeirf.line_graph import MEMBER as LINE
from edgeirf.manifest import Manifest, Model
from edgeirf.settings import Preprocess, Scoring

NAME = "info"


def main(
    path: Path = typer.Argument(..., metavar="BUNDLE", help="The .irf file."),
    as_json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
    report: Path = typer.Option(None, "--report", metavar="FILE.html", help="Write the model page: scores, pictures."),
) -> None:
    """Show what a bundle is and what its thresholds promise."""
    bundle = Bundle.read(path)
    if report is not None:
        write_bytes(report, bundle.member(REPORT))
    if as_json:
        typer.echo(json.dumps(to_json(bundle), indent=1))
        return
    facts = Table(box=None, pad_edge=False, show_header=False)
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    for label, text in describe(bundle):
        facts.add_row(label, text)
    print_page(facts, "", _models(bundle), "", _thresholds(bundle.manifest), *promises(bundle.manifest))


def describe(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Label and text of every fact that is not in a table."""
    from edgeirf.calib.reports.wording import date

    manifest = bundle.manifest
    size = bundle.path.stat().st_size
    yield "file", f"{bundle.path}, {megabytes(size)}, SHA-256 {bundle.digest[:12]}... (schema {manifest.schema})"
    yield "name", manifest.name
    yield "created", f"{date(manifest.created)} with edgeirf {manifest.edgeirf}"
    yield "products", ", ".join(manifest.products)
    yield "input", _input(manifest.preprocess)
    yield "method", _method(manifest)
    yield "score", _score(manifest.models["fp32"].scoring)
    yield "standalone", _standalone(bundle)


def promises(manifest: Manifest) -> Iterator[str]:
    """What the number of held-out parts allows, one line a product of the fp32 graph."""
    from edgeirf.calib.evaluation.binomial import upper_bound
    from edgeirf.calib.reports.wording import percent

    asked = manifest.false_reject_rate
    for product, parts in manifest.models["fp32"].calibration.items():
        lowest = f"{product}: {parts.count} held-out good parts can promise a rate of {percent(parts.smallest_rate)}"
        if parts.smallest_rate > asked:
            lowest += f" at best; the {percent(asked)} asked for needs {round(1 / asked) - 1} of them"
        yield f"{lowest}. None of them above a threshold would still allow {percent(upper_bound(0, parts.count))}."
    yield "The promised rate is the average over held-out sets; the one at 95 % confidence is for this very set."


def to_json(bundle: Bundle) -> dict[str, Any]:
    """The manifest with thresholds in place of the calibration scores."""
    manifest = bundle.manifest
    return {
        "path": str(bundle.path),
        "size": bundle.path.stat().st_size,
        "sha256": bundle.digest,
        **{key: getattr(manifest, key) for key in ("schema", "name", "created", "edgeirf", "false_reject_rate")},
        "products": manifest.products,
        "preprocess": dataclasses.asdict(manifest.preprocess),
        "method": dataclasses.asdict(manifest.method),
        "models": {key: _model_json(bundle, model) for key, model in manifest.models.items()},
        "members": {name: member.size for name, member in manifest.members.items()},
    }


def _model_json(bundle: Bundle, model: Model) -> dict[str, Any]:
    rate = bundle.manifest.false_reject_rate
    return {
        **{key: getattr(model, key) for key in ("file", "precision", "family", "refused")},
        "report": dataclasses.asdict(model.report),
        "size": bundle.manifest.members[model.file].size,
        "scoring": dataclasses.asdict(model.scoring),
        "thresholds": {product: threshold(parts, rate) for product, parts in model.calibration.items()},
    }


def threshold(parts: Calibration, asked: float) -> dict[str, Any]:
    """Threshold and what it is worth.

    ``false_reject_rate`` is the conformal promise, an average over held-out sets. ``upper_bound`` holds for this one:
    given it, the true rate is Beta distributed (Vovk, ACML 2012), and its 95 % quantile is the Clopper-Pearson bound
    for the parts above the threshold.
    """
    from edgeirf.calib.evaluation.binomial import upper_bound
    from edgeirf.calib.promise import rate_at_most

    score = parts.score_threshold(asked)
    above = sum(value > score for value in parts.scores)
    return {
        "threshold": score,
        "pixel_threshold": parts.pixel_threshold(asked),
        "false_reject_rate": parts.rate(asked),
        "smallest_rate": parts.smallest_rate,
        "held_out": parts.count,
        "above": above,
        "upper_bound": rate_at_most(parts, asked),
        "upper_bound_of_none": upper_bound(0, parts.count),
    }


def _thresholds(manifest: Manifest) -> Table:
    from edgeirf.calib.reports.wording import percent

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("thresholds", "product", "score", "pixel", "held-out", "above", "false rejects", "at 95 % conf."):
        table.add_column(heading, justify="left" if heading in ("thresholds", "product") else "right")
    for key, model in manifest.models.items():
        for product, parts in model.calibration.items():
            found = threshold(parts, manifest.false_reject_rate)
            table.add_row(
                key,
                product,
                f"{found['threshold']:.4g}",
                f"{found['pixel_threshold']:.4g}",
                str(found["held_out"]),
                str(found["above"]),
                f"\u2264 {percent(found['false_reject_rate'])}",
                f"\u2264 {percent(found['upper_bound'])}",
            )
    return table


def _models(bundle: Bundle) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("precisions", "size", "for", "gate", "measured at export"):
        table.add_column(heading, justify="right" if heading == "size" else "left")
    for key, model in bundle.manifest.models.items():
        gate = "passed" if model.refused is None else f"refused: {model.refused}"
        family = "every back end" if model.family == "any" else model.family
        table.add_row(key, megabytes(bundle.manifest.members[model.file].size), family, gate, _measured(model) or "-")
    return table


def _measured(model: Model) -> str:
    """The gate's findings, then the plain figures; the rest is for ``--json``."""
    from edgeirf.calib.gate.gate import findings

    report = model.report
    hidden = ("int8 layers", "golden tolerance")
    figures = [f"{name} {value:.3g}" for name, value in report.figures.items() if name not in hidden]
    if report.calibration is not None:
        figures.append(f"calibration {report.calibration}")
    return "; ".join(filter(None, (findings(report, with_layers=True), ", ".join(figures))))


def _input(settings: Preprocess) -> str:
    area = "the whole frame"
    if settings.roi is not None:
        x, y, width, height = settings.roi
        area = f"{width}x{height} pixels at {x},{y} of the frame"
    if settings.tiles != (1, 1):
        area += f", cut into {settings.tiles[0]} rows and {settings.tiles[1]} columns, each"
    depth = "" if settings.bits == 8 else f", {settings.bits} bits"
    kind = "gray" if settings.color == "gray" else "colour"
    return f"{area} resized to {settings.size[1]}x{settings.size[0]} (width x height), {kind}{depth}"


def _standalone(bundle: Bundle) -> str:
    from edgeirf.runtime.executors.select import choose_model

    member = bundle.manifest.members.get(LINE)
    if member is None:
        return f"no {LINE}, the graph for hosts without Python: `edgeirf export {bundle.path} -o NEW.irf` adds it"
    key, _ = choose_model(bundle, "onnxruntime", None)
    return f"{LINE}, {megabytes(member.size)}, with {key} inside: for hosts without Python, docs/embed_contract.md"


def _method(manifest: Manifest) -> str:
    method = manifest.method
    times = ", ".join(map(str, method.timesteps))
    if method.name == "irf":
        what = f"inverse residual field (IRF), one step at t = {times} of 1000, {method.gaussian} Gaussian"
    else:
        what = f"DDIM inversion (InvAD) in {len(method.timesteps)} steps, t = {times} of 1000"
    return f"{what}; backbone {method.backbone}, noise network {method.preset}"


def _score(scoring: Scoring) -> str:
    of_map = "the largest value" if scoring.top_k == 1 else f"the mean of the {scoring.top_k} largest values"
    if scoring.latent is not None:
        of_map = "likelihood of the latent plus spread"
    return f"{of_map} of the anomaly map, smoothed by {scoring.sigma:g} pixels"


def megabytes(size: int) -> str:
    """``5.2 MB``."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
