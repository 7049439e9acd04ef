"""``edgeirf tune``: smoothing and image score of a bundle, chosen by a few real defects; no training."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgeirf.bundle import Bundle
from edgeirf.cli.console import console
from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.files import check_writable

if TYPE_CHECKING:
    from edgeirf.calib.fitting.selection import Worth
    from edgeirf.export.tune import Tuned
    from edgeirf.settings import Scoring

NAME = "tune"


def main(
    path: Path = typer.Argument(..., metavar="BUNDLE", help="The .irf file."),
    folder: Path = typer.Argument(..., metavar="DIR", help="Labelled parts, as for `edgeirf eval`: good/ and defects."),
    run: Path = typer.Option(
        ..., "--run", metavar="RUN", help="The run of BUNDLE: its held-out parts set the threshold."
    ),
    output: Path = typer.Option(None, "--output", "-o", help="Bundle to write; default <BUNDLE>.tuned.irf."),
    product: str = typer.Option(None, help="Product of a unified bundle that the labelled parts are."),
    as_json: bool = typer.Option(False, "--json", help="Print the figures as JSON."),
    force: bool = typer.Option(False, "--force", "-f", help="Overwrite an existing bundle."),
) -> None:
    """Choose smoothing and image score with a few labelled parts, without training again."""
    target = output or path.with_suffix(".tuned.irf")
    if target.exists() and not force:
        raise UsageError(f"{target} exists: --force overwrites it, --output names another")
    check_writable(target)
    bundle = Bundle.read(path)
    try:
        from edgeirf.export.tune import tune
        from edgeirf.runtime.detector import choose_product
        from edgeirf.trainers.run import Run
    except ImportError as error:
        raise EdgeirfError(f"tuning needs PyTorch and ONNX ({error}): pip install 'edgeirf[train]'") from None
    name = choose_product(bundle, product)
    tuned = tune(bundle, Run(run), folder, name, target, progress=lambda stage: console.print(f"{stage} ..."))
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(tuned), indent=1))
        return
    for line in lines(tuned):
        typer.echo(line)
    if tuned.after != tuned.before:
        typer.echo(f"wrote {target}")


def lines(tuned: Tuned) -> list[str]:
    """What was found, for the terminal."""
    left_out = f"; {tuned.left_out} pictures of the run are left out" if tuned.left_out else ""
    found = [
        f"{tuned.good} good and {tuned.defective} defective labelled parts{left_out}",
        f"now: {_scoring(tuned.before)}: {_worth(tuned.worth_before, tuned)}",
    ]
    if tuned.after == tuned.before:
        return [*found, "no other scoring is better by more than chance: the bundle stays as it is"]
    return [
        *found,
        f"chosen: {_scoring(tuned.after)}: {_worth(tuned.worth_after, tuned)} (on the parts that chose it)",
        f"to be expected, from parts that had no say in the choice: {_worth(tuned.worth_honest, tuned)}",
    ]


def _scoring(scoring: Scoring) -> str:
    of_map = "largest value" if scoring.top_k == 1 else f"mean of the {scoring.top_k} largest values"
    return f"smoothing {scoring.sigma:g} pixels, {of_map}"


def _worth(worth: Worth, tuned: Tuned) -> str:
    return (
        f"image AUROC {worth.auroc:.3f}, escapes {worth.escapes:.3g} of {tuned.defective}, "
        f"false rejects {worth.false_rejects:.3g} of {tuned.good}"
    )
