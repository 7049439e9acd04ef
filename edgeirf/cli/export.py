"""``edgeirf export``: a trained run to one ``.irf`` bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeirf.cli.console import console
from edgeirf.errors import EdgeirfError, UsageError

if TYPE_CHECKING:
    from edgeirf.manifest import Manifest

NAME = "export"


def main(
    folder: Path = typer.Argument(None, metavar="[RUN]", help="Trained run; default: the newest in runs/."),
    output: Path = typer.Option(None, "--output", "-o", help="Bundle to write; default <name of the run>.irf."),
    method: str = typer.Option("irf", help="irf: one step; invad: DDIM inversion in a few steps."),
    t: int = typer.Option(200, help="Timestep of irf, 0..999."),
    steps: int = typer.Option(3, help="Inversion steps of invad."),
    gaussian: str = typer.Option("full", help="Density of the normal field: standard, diagonal, full."),
    false_reject_rate: float = typer.Option(0.01, help="Share of good parts that may be rejected."),
    sigma: float = typer.Option(4.0, help="Smoothing of the anomaly map, pixels of the network input."),
    top_k: int = typer.Option(1, help="Image score: mean of this many largest map values; 1 is the maximum."),
    force: bool = typer.Option(False, "--force", "-f", help="Overwrite an existing bundle."),
) -> None:
    """Make one portable file of a trained run."""
    if method not in ("irf", "invad") or gaussian not in ("standard", "diagonal", "full"):
        raise UsageError("--method is irf or invad; --gaussian is standard, diagonal or full")
    try:
        from edgeirf.export.export import Options, export
        from edgeirf.trainers.run import Run, newest_run
    except ImportError as error:
        raise EdgeirfError(f"exporting needs PyTorch and ONNX ({error}): pip install 'edgeirf[train]'") from None
    run = Run(folder) if folder is not None else newest_run(Path("runs"))
    path = output or Path(f"{run.config.name}.irf")
    if path.exists() and not force:
        raise UsageError(f"{path} exists: --force overwrites it, --output names another")
    choices: Any = {"method": method, "gaussian": gaussian}
    options = Options(**choices, t=t, steps=steps, false_reject_rate=false_reject_rate, sigma=sigma, top_k=top_k)
    result = export(run, path, options, progress=lambda stage: console.print(f"{stage} ..."))
    typer.echo(f"torch and ONNX Runtime agree to {result.parity:.1e} of a score on {result.images} held-out pictures")
    for line in threshold_lines(result.manifest):
        typer.echo(line)
    typer.echo(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB); next: edgeirf run --camera 0 --model {path}")


def threshold_lines(manifest: Manifest) -> list[str]:
    """What the thresholds promise, one line a product, and what is not possible with so few pictures."""
    lines = []
    asked = manifest.false_reject_rate
    for product, calibration in manifest.models["fp32"].calibration.items():
        rate, count = calibration.rate(asked), calibration.count
        line = (
            f"{product}: threshold {calibration.score_threshold(asked):.4g} from {count} held-out pictures, "
            f"at most {100 * rate:.2g} % false rejects"
        )
        if rate > asked:
            line += f" ({100 * asked:g} % needs {round(1 / asked) - 1} held out, {5 * (round(1 / asked) - 1)} in all)"
        lines.append(line)
    return lines
