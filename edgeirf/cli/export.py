"""``edgeirf export``: a trained run to one ``.irf`` bundle, and a run or bundle to one ONNX graph for other hosts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeirf.bundle import Bundle
from edgeirf.cli.console import check_page, echo, say
from edgeirf.cli.engines import build_and_tell, check_engine
from edgeirf.cli.standalone import Bare, check_bundle, from_bundle
from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.files import write_text
from edgeirf.settings import Scoring

if TYPE_CHECKING:
    from edgeirf.calib.evaluation.odd_pictures import Examination
    from edgeirf.export.bundle import Exported
    from edgeirf.manifest import Manifest
    from edgeirf.trainers.run import Run

NAME = "export"
LINES = 10
"""At most so many odd pictures are named on the terminal; the page has all."""
ALL = "fp32,fp16,int8"
DEVICES = {"on the CPU": "onnxruntime", "with TensorRT": "tensorrt"}


OF_BUNDLES = ("source", "output", "standalone", "pixel_format", "product", "precision", "no_standalone", "force")
"""Parameters that a finished bundle takes."""


def main(
    context: typer.Context,
    source: Path = typer.Argument(
        None, metavar="[RUN|BUNDLE]", help="Trained run; default: the newest in runs/. Or a bundle, for --standalone."
    ),
    output: Path = typer.Option(None, "--output", "-o", help="Bundle to write; default <name of the run>.irf."),
    method: str = typer.Option("irf", help="irf: one step; invad: DDIM inversion in a few steps."),
    t: int = typer.Option(200, help="Timestep of irf, 0..999."),
    steps: int = typer.Option(3, help="Inversion steps of invad."),
    gaussian: str = typer.Option("full", help="Density of the field of good parts: standard, diagonal, full."),
    false_reject_rate: float = typer.Option(0.01, help="Share of good parts that may be rejected."),
    sigma: float = typer.Option(Scoring.sigma, help="Smoothing of the anomaly map, pixels of the network input."),
    top_k: int = typer.Option(1, help="Image score: mean of this many largest map values; 1 is the maximum."),
    precision: str = typer.Option(
        None, help="Graphs to write, each compared with fp32: fp32,fp16,int8. Of a BUNDLE: the one in FILE.onnx."
    ),
    calib: Path = typer.Option(None, help="Good parts for the INT8 ranges; default: the held-out ones."),
    calibration_method: str = typer.Option("minmax", help="INT8 ranges: minmax, percentile, entropy."),
    quantiser: str = typer.Option("edgeirf", help="Quantiser of TensorRT's INT8 graph: edgeirf, modelopt."),
    validate: Path = typer.Option(None, help="Labelled images (good/, defects): every precision must pass on these."),
    keep_refused: bool = typer.Option(False, "--keep-refused", help="Keep graphs that fail, marked as refused."),
    engine: str = typer.Option(None, help="Build engines on this machine: tensorrt, or tensorrt-rtx (needs no GPU)."),
    target: str = typer.Option(None, help="GPUs for tensorrt-rtx: sm86,sm89,... Default: any from Ampere on."),
    odd_page: Path = typer.Option(
        None, metavar="FILE.html", help="Page of odd held-out pictures; default: beside the bundle where one is named."
    ),
    keep_odd: bool = typer.Option(False, "--keep-odd", help="Let odd held-out pictures set the threshold, too."),
    standalone: Path = typer.Option(
        None, metavar="FILE.onnx", help="Write a bare graph, too: camera bytes to verdict, for hosts without Python."
    ),
    pixel_format: str = typer.Option(None, help="Frames that FILE.onnx takes: bgr8, gray16, bayer_rggb8, nv12, ..."),
    product: str = typer.Option(None, help="Product whose thresholds are in FILE.onnx."),
    no_standalone: bool = typer.Option(False, "--no-standalone", help="Leave line.onnx out of the bundle."),
    force: bool = typer.Option(False, "--force", "-f", help="Overwrite an existing bundle."),
) -> None:
    """Write one portable bundle of a trained run; of a finished bundle, its graph for hosts without Python."""
    if standalone is None and (pixel_format is not None or product is not None):
        raise UsageError("--pixel-format and --product go with --standalone FILE.onnx")
    if source is not None and (source.is_file() or source.suffix == ".irf"):
        _refuse_others(context, source)
        from_bundle(source, output, Bare(standalone, pixel_format, product, precision), not no_standalone, force)
        return
    if method not in ("irf", "invad") or gaussian not in ("standard", "diagonal", "full"):
        raise UsageError("--method is irf or invad; --gaussian is standard, diagonal or full")
    check_engine(engine, target)
    check_page(odd_page)
    try:
        from edgeirf.export.bundle import Options, export
        from edgeirf.export.engines import parse_targets
        from edgeirf.trainers.run import Run, newest_run
    except ImportError as error:
        raise EdgeirfError(f"exporting needs PyTorch and ONNX ({error}): pip install '.[train]' in the clone") from None
    run = Run(source) if source is not None else newest_run(Path("runs"))
    path = check_bundle(output or Path(f"{run.config.name}.irf"), force)
    bare = Bare(standalone, pixel_format, product, None)
    bare.check(path, force)
    if target is not None:
        parse_targets(target)
    choices: Any = {"method": method, "gaussian": gaussian, "calibration_method": calibration_method}
    options = Options(
        **choices,
        t=t,
        steps=steps,
        false_reject_rate=false_reject_rate,
        sigma=sigma,
        top_k=top_k,
        precisions=tuple(dict.fromkeys(part.strip().lower() for part in (precision or ALL).split(","))),
        quantiser=quantiser,
        calibration_folder=calib,
        validation_folder=validate,
        keep_refused=keep_refused,
        keep_odd=keep_odd,
        standalone=not no_standalone,
    )
    result = export(run, path, options, progress=lambda stage: say(f"{stage} ..."))
    tell_result(result)
    tell_odd(result.examined, run, odd_page or path.with_suffix(".odd.html"), always=odd_page is not None)
    for made in result.reduced:
        echo(made.summary())
    opened = Bundle.read(path)
    if result.reduced:
        echo(default_line(opened))
    if engine is not None:
        build_and_tell(path, engine, target)
    bare.write(opened)
    echo(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB); next: edgeirf run --camera 0 --model {path}")


def _refuse_others(context: typer.Context, bundle: Path) -> None:
    """Raises UsageError for an option that says how a run is exported."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name not in OF_BUNDLES and source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"{parameter.opts[0]} is for runs, and {bundle} is a finished bundle")


def tell_result(result: Exported) -> None:
    """Says what was compared, what the thresholds promise, and what the bundle lacks."""
    echo(f"torch and ONNX Runtime agree to {result.parity:.1e} of a score on {result.images} held-out pictures")
    for line in threshold_lines(result.manifest):
        echo(line)
    if result.left_out:
        echo(f"no line.onnx for hosts without Python: {result.left_out}")


def tell_odd(examined: Mapping[str, Examination], run: Run, page: Path, *, always: bool = False) -> None:
    """Names the held-out pictures that do not look like the others, and writes their page.

    Args:
        examined: product to what was found.
        run: keeps the pixels of the pictures.
        page: file to write where a picture is named.
        always: write it in any case.
    """
    from edgeirf.calib.reports.odd_page import odd_page
    from edgeirf.export.good_parts import held_out_pictures

    lines = [line for found in examined.values() for line in found.lines()]
    for line in lines[:LINES]:
        echo(line)
    if len(lines) > LINES:
        echo(f"... and {len(lines) - LINES} more")
    if lines or always:
        write_text(page, odd_page(examined, held_out_pictures(run)))
        echo(f"wrote {page}" + ("; edgeirf train --exclude FILE leaves pictures out" if lines else ""))


def default_line(bundle: Bundle) -> str:
    """Which graph each back end takes by itself."""
    from edgeirf.runtime.executors.select import choose_model

    keys = {place: choose_model(bundle, family, None)[0] for place, family in DEVICES.items()}
    return "default: " + ", ".join(f"{key} {place}" for place, key in keys.items())


def threshold_lines(manifest: Manifest) -> list[str]:
    """What the thresholds promise, one line a product, and what is not possible with so few pictures."""
    from edgeirf.calib.promise import rate_at_most

    lines = []
    asked = manifest.false_reject_rate
    for product, calibration in manifest.models["fp32"].calibration.items():
        rate, count = calibration.rate(asked), calibration.count
        line = (
            f"{product}: threshold {calibration.score_threshold(asked):.4g} from {count} held-out pictures, "
            f"at most {100 * rate:.2g} % false rejects on average, "
            f"{100 * rate_at_most(calibration, asked):.2g} % with 95 % confidence"
        )
        if calibration.odd:
            line += f" ({calibration.odd} held-out pictures do not look like the others and set no threshold)"
        elif rate > asked:
            line += f" ({100 * asked:g} % needs {round(1 / asked) - 1} held out, {5 * (round(1 / asked) - 1)} in all)"
        lines.append(line)
    return lines
