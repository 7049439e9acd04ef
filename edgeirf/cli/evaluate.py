"""``edgeirf eval``: one or several bundles on a folder of labelled images."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from edgeirf.bundle import Bundle
from edgeirf.calib.conditions.tolerances import EXAMPLE, Tolerances
from edgeirf.cli.console import check_page, console, engine_progress, print_page, progress_bar
from edgeirf.cli.run import parse_resolution
from edgeirf.errors import UsageError
from edgeirf.files import write_text
from edgeirf.text import printable

if TYPE_CHECKING:
    from edgeirf.calib.evaluation.evaluation import Evaluation
    from edgeirf.runtime.detector import Detector

NAME = "eval"


def main(
    bundles: list[Path] = typer.Argument(..., metavar="BUNDLE...", help="One or several .irf files to compare."),
    folder: Path = typer.Argument(
        ..., metavar="DIR", help="DIR/test/<type> with DIR/ground_truth (MVTec), or good/ beside folders of defects."
    ),
    json_file: Path = typer.Option(None, "--json", metavar="FILE", help="Write all figures; - for standard output."),
    report: Path = typer.Option(None, "--report", metavar="FILE.html", help="Write a page with plots and pictures."),
    precision: str = typer.Option(None, help="fp32, fp16, int8; default: the fastest that passed its gate."),
    product: str = typer.Option(None, help="Product of a unified bundle."),
    false_reject_rate: float = typer.Option(None, help="Another rate than the one chosen at export."),
    other_resolution: str = typer.Option(
        None, metavar="WIDTHxHEIGHT", help="The pictures show the view of the training pictures in other pixels."
    ),
    device: str = typer.Option("auto", help="Where to run the network, as in `edgeirf run`."),
    perturb: bool = typer.Option(False, "--perturb", help="Measure again with the pictures as a line may change them."),
    tolerate: str = typer.Option(None, metavar="TOLERANCES", help=f"What --perturb may change; default: {EXAMPLE}."),
) -> None:
    """Measure bundles on labelled images: AUROC, AP, F1-max, AUPRO, false rejects, escapes.

    A unified bundle takes --product, or a DIR that holds one such folder for each of its products.
    """
    from edgeirf.calib.evaluation.evaluate import evaluate
    from edgeirf.calib.reports.evaluation_page import write_report
    from edgeirf.runtime.detector import load

    _check_outputs(json_file, report)
    tolerances, resolution = _tolerances(perturb, tolerate), parse_resolution(other_resolution)
    results: list[tuple[Evaluation, Detector]] = []
    with ExitStack() as stack:
        for path in bundles:
            for name, place in _targets(path, product, folder):
                choices: Any = {"precision": precision, "product": name, "false_reject_rate": false_reject_rate}
                with engine_progress() as progress:
                    opened = load(path, device, progress=progress, resolution=resolution, **choices)
                detector = stack.enter_context(opened)
                results.append((evaluate(detector, place, _bar(name or path.name), tolerances), detector))
        evaluations = [evaluation for evaluation, _ in results]
        if json_file is not None:
            _write_json(json_file, evaluations)
        if report is not None:
            with console.status("writing the report"):
                write_report(report, results)
    if str(json_file) != "-":
        show(evaluations)
        for written in filter(None, (json_file, report)):
            typer.echo(f"wrote {written}")
    failures = dict.fromkeys(line for evaluation in evaluations for line in evaluation.failures)
    for line in failures:
        typer.echo(f"edgeirf: {line}", err=True)
    if failures:
        raise typer.Exit(1)


def _tolerances(perturb: bool, tolerate: str | None) -> Tolerances | None:
    """What to perturb within; None: nothing."""
    if tolerate is not None and not perturb:
        raise UsageError("--tolerate says what --perturb may change: add --perturb")
    return Tolerances.parse(tolerate or "default") if perturb else None


def _targets(path: Path, product: str | None, folder: Path) -> list[tuple[str | None, Path]]:
    """Product and folder of each evaluation of a bundle."""
    products = Bundle.read(path).manifest.products
    if product is None and len(products) > 1 and all((folder / name).is_dir() for name in products):
        return [(name, folder / name) for name in products]
    return [(product, folder)]


def show(evaluations: Sequence[Evaluation]) -> None:
    """Prints the tables: all bundles side by side, then each one's defect types."""
    from edgeirf.calib.reports.wording import remarks, titles

    parts: list[RenderableType] = [comparison(evaluations)]
    for path in dict.fromkeys(evaluation.bundle for evaluation in evaluations):
        products = [evaluation for evaluation in evaluations if evaluation.bundle == path]
        if len(products) > 1:
            parts.append(f"\n{printable(path.name)}, {means(products)}")
    for evaluation, title in zip(evaluations, titles(evaluations), strict=True):
        if evaluation.per_defect:
            parts.append(defect_table(evaluation, title))
        parts += remarks(evaluation)
    parts.append(Text("\u2264 and ranges: exact bounds of the true rate, each at 95 % confidence.", style="dim"))
    print_page(*parts)


def comparison(evaluations: Sequence[Evaluation]) -> Table:
    """One column a bundle."""
    from edgeirf.calib.reports.wording import control_figure, counted, figure, percent, titles

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(style="dim", no_wrap=True)
    for title in titles(evaluations):
        table.add_column(Text(title), overflow="fold")
    rows: list[tuple[str, list[str]]] = [
        ("data", [str(e.folder) for e in evaluations]),
        ("model", [e.model for e in evaluations]),
        ("method", [f"{e.method}, {e.precision}" for e in evaluations]),
        ("product", [e.product for e in evaluations]),
        ("images", [f"{len(e.good)} good, {len(e.defective)} defective" for e in evaluations]),
    ]
    for kind in ("image", "pixel"):
        for name, label in (("auroc", "AUROC"), ("ap", "AP"), ("f1max", "F1-max")):
            values = [figure(getattr(getattr(e.total, kind), name)) for e in evaluations]
            rows.append((f"{kind} {label}", values))
    rows += [
        ("AUPRO to 30 % FPR", [figure(e.total.aupro) for e in evaluations]),
        ("threshold", [f"{e.threshold:.4g}" for e in evaluations]),
        ("held-out parts behind it", [str(e.held_out) for e in evaluations]),
        ("false rejects promised", [f"\u2264 {percent(e.false_reject_rate)}" for e in evaluations]),
        ("false rejects measured", [counted(e.false_rejects) for e in evaluations]),
        ("escapes", [counted(e.total.escapes) for e in evaluations]),
        *escape_rows(evaluations),
        ("control AUROC", [control_figure(e.control) for e in evaluations]),
        *perturbed_rows(evaluations),
    ]
    for label, cells in rows:
        table.add_row(label, *map(Text, cells), style="bold" if label.split()[0] in ("image", "pixel", "AUPRO") else "")
    return table


def escape_rows(evaluations: Sequence[Evaluation], prefix: str = "") -> list[tuple[str, list[str]]]:
    """One row a false-reject rate."""
    from edgeirf.calib.reports.wording import bounded, escapes_label

    longest = max((e.total.escapes_at for e in evaluations), key=len)
    return [
        (
            prefix + escapes_label(found),
            [bounded(e.total.escapes_at[at].escapes) if e.total.escapes_at else "-" for e in evaluations],
        )
        for at, found in enumerate(longest)
    ]


def perturbed_rows(evaluations: Sequence[Evaluation]) -> list[tuple[str, list[str]]]:
    """The second condition, and how much of each nuisance the good parts bear."""
    from edgeirf.calib.reports.wording import control_figure, counted, figure, holds_to

    found = [e.perturbed for e in evaluations if e.perturbed is not None]
    if not found:
        return []
    changed = [one.evaluation for one in found]
    rows = [
        ("perturbed within", [one.tolerances for one in found]),
        ("perturbed: image AUROC", [figure(e.total.image.auroc) for e in changed]),
        ("perturbed: false rejects", [counted(e.false_rejects) for e in changed]),
        ("perturbed: escapes", [counted(e.total.escapes) for e in changed]),
        *escape_rows(changed, "perturbed: "),
        ("perturbed: control AUROC", [control_figure(e.control) for e in changed]),
    ]
    for at, curve in enumerate(found[0].curves):
        rows.append((f"holds if {curve.nuisance.name} by", [holds_to(one.curves[at]) for one in found if one.curves]))
    return rows


def means(evaluations: Sequence[Evaluation]) -> str:
    """The mean over products, as papers give it for unified models."""
    from edgeirf.calib.reports.wording import figure

    found = [evaluation.total.to_json() for evaluation in evaluations]
    parts = []
    for key in ("image_auroc", "pixel_auroc", "aupro"):
        values = [entry[key] for entry in found if entry[key] is not None]
        if values:
            parts.append(f"{key.replace('_', ' ')} {figure(sum(values) / len(values))}")
    return f"mean over {len(found)} products: {', '.join(parts)}"


def defect_table(evaluation: Evaluation, title: str) -> Table:
    """One row a defect type."""
    from edgeirf.calib.reports.wording import figure

    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left", title_style="")
    table.title = Text(f"\n{title} by defect")
    table.add_column("defect", overflow="fold")
    for heading in ("escapes", "image AUROC", "AP", "pixel AUROC", "AP", "AUPRO"):
        table.add_column(heading, justify="right")
    for name, found in evaluation.per_defect.items():
        values = (found.image.auroc, found.image.ap, found.pixel.auroc, found.pixel.ap, found.aupro)
        table.add_row(Text(name), f"{found.escapes.events} of {found.escapes.trials}", *map(figure, values))
    return table


def _check_outputs(json_file: Path | None, report: Path | None) -> None:
    """Says before the work, not after it, that a result has no place to go."""
    if json_file is not None and json_file.is_dir():
        raise UsageError(f"{json_file} is a folder: name a file")
    check_page(report)


def _write_json(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """One object for one bundle, a list for several."""
    found = [evaluation.to_json() for evaluation in evaluations]
    text = json.dumps(found[0] if len(found) == 1 else found, indent=1, allow_nan=False) + "\n"
    if str(path) == "-":
        typer.echo(text, nl=False)
    else:
        write_text(path, text)


def _bar(description: str) -> Any:
    def track(samples: Sequence[Any]) -> Iterable[Any]:
        with progress_bar() as bar:
            yield from bar.track(samples, description=description)

    return track
