"""``edgeirf recalibrate``: new thresholds from fresh good parts; no training, no PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from edgeirf.bundle import Bundle
from edgeirf.cli.console import check_page, console, echo
from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.files import check_writable, write_text
from edgeirf.line_graph import MEMBER as LINE

if TYPE_CHECKING:
    from edgeirf.calib.recalibrate import LineOf, NetworkOf, Recalibration, Recentre
    from edgeirf.runtime.imaging.pixel_format import Pixels

NAME = "recalibrate"


def main(
    path: Path = typer.Argument(..., metavar="BUNDLE", help="The .irf file."),
    folder: Path = typer.Argument(..., metavar="DIR", help="Pictures of fresh good parts, 20 at least."),
    output: Path = typer.Option(None, "--output", "-o", help="Bundle to write; default <BUNDLE>.recalibrated.irf."),
    report: Path = typer.Option(
        None, "--report", metavar="FILE.html", help="Page with old and new thresholds; default beside the new bundle."
    ),
    product: str = typer.Option(None, help="Product of a unified bundle that the pictures show."),
    exclude: Path = typer.Option(None, "--exclude", metavar="FILE", help="Pictures to leave out, one a line."),
    keep_odd: bool = typer.Option(
        False, "--keep-odd", help="Let pictures that do not look like the others set the threshold, too."
    ),
    recentre: bool = typer.Option(
        False, "--recentre", help="Move the centre of the densities, too, with a third of 30 pictures at least (ONNX)."
    ),
    force: bool = typer.Option(False, "--force", "-f", help="Overwrite an existing bundle."),
) -> None:
    """Set new thresholds with fresh good parts, without training, when the line has changed and the product has not."""
    target = output or path.with_suffix(".recalibrated.irf")
    if target.exists() and not force:
        raise UsageError(f"{target} exists: --force overwrites it, --output names another")
    page = report or target.with_suffix(".html")
    check_page(page)
    for written in (target, page):
        check_writable(written)
    bundle = Bundle.read(path)
    from edgeirf.calib.evaluation.odd_pictures import read_excluded
    from edgeirf.calib.recalibrate import recalibrate
    from edgeirf.calib.recalibration_page import recalibration_page
    from edgeirf.runtime.detector import choose_product

    found = recalibrate(
        bundle,
        folder,
        target,
        choose_product(bundle, product),
        excluded=() if exclude is None else read_excluded(exclude),
        keep_odd=keep_odd,
        recentre=_recentre(bundle) if recentre else None,
        line=_line(bundle, target),
        faithful=_faithful(bundle, target),
        progress=lambda stage: console.print(f"{stage} ..."),
    )
    write_text(page, recalibration_page(found))
    for line in lines(found):
        echo(line)
    echo(f"wrote {target} and {page}")


def _line(bundle: Bundle, target: Path) -> LineOf | None:
    """Writes the standalone graph; None where the bundle has none, or where ONNX is away, which one line says."""
    if LINE not in bundle.manifest.members:
        return None
    try:
        from edgeirf.export.standalone.member import line_member
    except ImportError as error:
        echo(
            f"{target} gets no {LINE}, the graph for hosts without Python: that needs ONNX ({error}): pip install onnx"
        )
        return None
    return line_member


def _faithful(bundle: Bundle, target: Path) -> NetworkOf | None:
    """Computes an FP16 graph with its rounding; None where ONNX is away, which one line says where it matters."""
    try:
        from edgeirf.export.precision.network import faithful
    except ImportError as error:
        if any(model.precision == "fp16" for model in bundle.manifest.models.values()):
            echo(f"{target} refuses its FP16 graph, whose thresholds need ONNX ({error}): pip install onnx")
        return None
    return faithful


def _recentre(bundle: Bundle) -> Recentre:
    try:
        from edgeirf.export.recentre import recentre
    except ImportError as error:
        raise EdgeirfError(f"--recentre needs ONNX ({error}): pip install onnx") from None

    def moved(pictures: Sequence[Pixels]) -> Bundle:
        with TemporaryDirectory() as folder:
            place = Path(folder) / "recentred.irf"
            recentre(bundle, pictures, place, progress=lambda stage: console.print(f"{stage} ..."))
            return Bundle.read(place)

    return moved


def lines(found: Recalibration) -> Iterator[str]:
    """What was found, for the terminal."""
    from edgeirf.calib.reports.wording import percent

    for key in found.after.models:
        before, after = found.thresholds(key)
        yield f"{key}: threshold {before:.4g} before, {after:.4g} now"
    parts = found.after.models["fp32"].calibration[found.product]
    old = found.before.models["fp32"].calibration[found.product]
    yield (
        f"{parts.count} fresh good parts promise at most {percent(parts.rate(found.rate))} false rejects "
        f"({percent(found.rate)} asked for; {percent(old.rate(found.rate))} before); the old threshold rejects "
        f"{found.rejected_before} of {len(found.scores)}"
    )
    if 2 * found.rejected_before > len(found.scores):
        yield "most fresh parts score above the old threshold, so more defects may pass now: better train again"
    yield from found.examined.lines()
