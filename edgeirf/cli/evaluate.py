"""``edgeirf eval``: one or several bundles on a folder of labelled images."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from edgeirf.cli.console import console, progress_bar
from edgeirf.errors import UsageError
from edgeirf.files import write_text

if TYPE_CHECKING:
    from edgeirf.calib.evaluation import Evaluation
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
    device: str = typer.Option("auto", help="Where to run the network, as in `edgeirf run`."),
) -> None:
    """Measure bundles on labelled images: AUROC, AP, F1-max, AUPRO, false rejects, misses."""
    from edgeirf.calib.evaluate import evaluate
    from edgeirf.calib.report import write_report
    from edgeirf.runtime.detector import load

    _check_outputs(json_file, report)
    settings: Any = {"precision": precision, "product": product, "false_reject_rate": false_reject_rate}
    results: list[tuple[Evaluation, Detector]] = []
    for path in bundles:
        detector = load(path, device, **settings)
        results.append((evaluate(detector, folder, _bar(path)), detector))
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


def show(evaluations: Sequence[Evaluation]) -> None:
    """Prints the tables: all bundles side by side, then each one's defect types."""
    from edgeirf.calib.wording import remarks

    output = Console(highlight=False)
    if not output.is_terminal:
        output.width = 200  # a pipe has no width to wrap at
    output.print(comparison(evaluations))
    for evaluation in evaluations:
        if evaluation.per_defect:
            output.print(defect_table(evaluation))
        for line in remarks(evaluation):
            output.print(line, markup=False)
    output.print("\u2264 after a count: exact upper bound of the true rate at 95 % confidence.", style="dim")


def comparison(evaluations: Sequence[Evaluation]) -> Table:
    """One column a bundle."""
    from edgeirf.calib.wording import counted, figure, percent

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(str(evaluations[0].folder), style="dim", no_wrap=True)
    for evaluation in evaluations:
        table.add_column(evaluation.bundle.name)
    rows: list[tuple[str, list[str]]] = [
        ("model", [e.model for e in evaluations]),
        ("method", [f"{e.method}, {e.precision}" for e in evaluations]),
        ("product", [e.product for e in evaluations]),
        ("images", [f"{len(e.good)} good, {len(e.defective)} defective" for e in evaluations]),
    ]
    for kind in ("image", "pixel"):
        for name, label in (("auroc", "AUROC"), ("ap", "AP"), ("f1max", "F1-max")):
            values = [figure(getattr(getattr(e.total, kind), name)) for e in evaluations]
            rows.append((f"{kind} {label}", [f"[bold]{value}[/]" for value in values]))
    rows += [
        ("AUPRO to 30 % FPR", [f"[bold]{figure(e.total.aupro)}[/]" for e in evaluations]),
        ("threshold", [f"{e.threshold:.4g}" for e in evaluations]),
        ("held-out parts behind it", [str(e.held_out) for e in evaluations]),
        ("false rejects promised", [f"\u2264 {percent(e.false_reject_rate)}" for e in evaluations]),
        ("false rejects measured", [counted(e.false_rejects) for e in evaluations]),
        ("misses", [counted(e.total.misses) for e in evaluations]),
    ]
    for label, cells in rows:
        table.add_row(label, *cells)
    return table


def defect_table(evaluation: Evaluation) -> Table:
    """One row a defect type."""
    from edgeirf.calib.wording import counted, figure

    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left", title_style="")
    table.title = f"\n{evaluation.bundle.name} by defect"
    for heading, justify in (("defect", "left"), ("missed", "left"), ("image AUROC", "right"), ("AP", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for heading in ("pixel AUROC", "AP", "AUPRO"):
        table.add_column(heading, justify="right")
    for name, found in evaluation.per_defect.items():
        values = (found.image.auroc, found.image.ap, found.pixel.auroc, found.pixel.ap, found.aupro)
        table.add_row(name, counted(found.misses), *map(figure, values))
    return table


def _check_outputs(json_file: Path | None, report: Path | None) -> None:
    """Says before the work, not after it, that a result has no place to go."""
    for path in (json_file, report):
        if path is not None and path.is_dir():
            raise UsageError(f"{path} is a folder: name a file")
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"the report is a web page: call it {report.with_suffix('.html')}")


def _write_json(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """One object for one bundle, a list for several."""
    found = [evaluation.to_json() for evaluation in evaluations]
    text = json.dumps(found[0] if len(found) == 1 else found, indent=1, allow_nan=False) + "\n"
    if str(path) == "-":
        typer.echo(text, nl=False)
    else:
        write_text(path, text)


def _bar(path: Path) -> Any:
    def track(samples: Sequence[Any]) -> Iterable[Any]:
        with progress_bar() as bar:
            yield from bar.track(samples, description=path.name)

    return track
