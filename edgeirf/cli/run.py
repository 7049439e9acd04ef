"""``edgeirf run``: inspects the frames of a camera with a bundle."""

from __future__ import annotations

import math
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from edgeirf.cli.console import engine_progress, say, show_line, stop_on_signal
from edgeirf.errors import EdgeirfError, UsageError

if TYPE_CHECKING:
    from edgeirf.runtime.detector import Detector
    from edgeirf.runtime.line.stats import Stats
    from edgeirf.runtime.sinks import Sink
    from edgeirf.runtime.sources import Source

NAME = "run"

_CAMERA = (
    "0, v4l2:///dev/video0, csi://0, genicam://ADDRESS, rtsp://..., http://..., gst:PIPELINE, "
    "a video, picture, folder or glob, or test://?seed=1 for rendered parts; docs/cameras.md has all settings."
)


_FORMAT = "Pixel format when it is not BGR or gray: bayer_rggb8 (or grbg8, gbrg8, bggr8), nv12, gray16."


def main(
    context: typer.Context,
    config: Path = typer.Argument(None, metavar="[LINE.toml]", help="A line: see `edgeirf init`. It replaces options."),
    check: bool = typer.Option(False, "--check", help="Open everything that LINE.toml names, and say what works."),
    camera: str = typer.Option("0", "--camera", "-c", metavar="SOURCE", help=_CAMERA),
    model: Path = typer.Option(None, "--model", "-m", metavar="FILE.irf", help="Bundle; default: the newest one here."),
    pixel_format: str = typer.Option(None, metavar="FORMAT", help=_FORMAT),
    false_reject_rate: float = typer.Option(None, help="False-reject rate; default: the one chosen at export."),
    threshold: float = typer.Option(None, help="Reject scores above this, in place of the bundle's threshold."),
    product: str = typer.Option(None, help="Product of a unified bundle."),
    precision: str = typer.Option(None, help="fp32, fp16, int8; default: the fastest that passed its gate."),
    other_resolution: str = typer.Option(
        None, metavar="WIDTHxHEIGHT", help="The camera sees the view of the training pictures in other pixels."
    ),
    device: str = typer.Option("auto", help="auto, cpu, openvino, cuda, tensorrt."),
    threads: int = typer.Option(None, min=1, max=256, help="CPU threads; default: all cores, at most 8."),
    keep_warm: bool = typer.Option(False, "--keep-warm", help="Keep the GPU's clocks up between parts; costs energy."),
    spin: bool = typer.Option(False, "--spin", help="Keep a core while a GPU computes, for an earlier verdict."),
    jsonl: str = typer.Option(None, "--jsonl", metavar="FILE", help="Add one JSON object per frame; - is stdout."),
    save_rejects: str = typer.Option(None, metavar="DIR", help="Save the frame and the heat map of each reject."),
    rejects_mb: int = typer.Option(
        None, min=1, metavar="MB", help="Limit of the saved pictures; the oldest make room. Default: no limit."
    ),
    save_all: str = typer.Option(None, metavar="DIR", help="Save the frame and the heat map of every part."),
    show: bool = typer.Option(False, "--show", help="Show frames and heat maps in a window; q ends."),
    max_frames: int = typer.Option(None, min=1, help="Stop after this many frames."),
    timeout: float = typer.Option(
        10.0, min=0.1, help="Seconds without a frame after which the camera or stream counts as lost."
    ),
    fail_on_reject: bool = typer.Option(False, "--fail-on-reject", help="Exit with 1 when a part was rejected."),
    realtime: bool = typer.Option(False, "--realtime", help="Lock memory and raise the priority, where permitted."),
) -> None:
    """Inspect the parts that a camera sees, or run the line that a file describes.

    Ctrl-C ends the run cleanly. Exit code 1: a frame could not be inspected, the source failed, or verdicts were lost.
    """
    if config is not None or check:
        start_line(context, config, check)
        return
    from edgeirf.cli.run_line import enter_realtime
    from edgeirf.runtime.detector import load
    from edgeirf.runtime.imaging.pixel_format import check_name
    from edgeirf.runtime.line.pipeline import run_pipeline
    from edgeirf.runtime.line.stats import Stats
    from edgeirf.runtime.sinks.window import check_display
    from edgeirf.runtime.sources import open_source

    out = sys.stderr if jsonl == "-" else sys.stdout
    path = model or newest_bundle(Path())
    raw = check_name(pixel_format) if pixel_format is not None else None
    if show:
        check_display()
    choices: Any = {"precision": precision, "product": product, "false_reject_rate": false_reject_rate}
    choices |= {"threshold": threshold, "resolution": parse_resolution(other_resolution)}
    with engine_progress() as progress:
        detector = load(path, device, threads=threads, progress=progress, keep_warm=keep_warm, spin=spin, **choices)
    with detector, ExitStack() as stack:
        asked = false_reject_rate if threshold is None else detector.false_reject_rate
        for line in introduction(detector, path, asked):
            show_line(line, out)
        source = open_source(camera, timeout, raw, allocate=detector.allocate)
        stack.callback(source.close)
        if source.size is not None:
            detector.warm_up(source.size, raw or "bgr8")
        stats = Stats()
        if realtime:
            enter_realtime()
        sinks = make_sinks(source, detector, stats, out, jsonl, save_rejects, show, save_all, rejects_mb)
        with stop_on_signal(source.stop):
            problem = run_pipeline(source, detector, sinks, stats, max_frames)
        show_line(stats.line(source.dropped, stats.mean_rate), out)
    finish(stats, problem, fail_on_reject)


def parse_resolution(text: str | None) -> tuple[int, int] | None:
    """``1280x1024`` as ``(width, height)``; None stays None.

    Raises:
        UsageError: it is not two whole numbers.
    """
    from edgeirf.cli.bench import parse_size

    if text is None:
        return None
    height, width = parse_size(text)
    return width, height


def start_line(context: typer.Context, config: Path | None, check: bool) -> None:
    """Runs or checks the line of a file.

    Raises:
        UsageError: no file is named, or options stand beside it that the file says.
    """
    from edgeirf.cli.run_line import check_line, run_line

    if config is None:
        raise UsageError("--check needs a line: edgeirf run line.toml --check; `edgeirf init` writes one")
    given = [name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")]
    beside = sorted({*given} - {"config", "check", "max_frames", "fail_on_reject", "realtime"})
    if beside:
        raise UsageError(
            f"{config} describes the line: leave --{beside[0].replace('_', '-')} away, or leave the file away"
        )
    if check:
        check_line(config)
    else:
        asked = context.params
        run_line(config, asked["max_frames"], asked["fail_on_reject"], asked["realtime"])


def newest_bundle(folder: Path) -> Path:
    """The bundle that was written last.

    Raises:
        UsageError: there is none.
    """
    bundles = list(folder.glob("*.irf"))
    if not bundles:
        raise UsageError("no .irf file here: name one with --model, or make one with `edgeirf train` and `export`")
    return max(bundles, key=lambda path: path.stat().st_mtime)


def introduction(detector: Detector, path: Path, asked: float | None) -> list[str]:
    """The bundle, the device, and what the threshold promises."""
    bundle, calibration = detector.bundle, detector.calibration
    wanted = bundle.manifest.false_reject_rate if asked is None else asked
    lines = [
        f"{path}: {bundle.label}, product {detector.product}, {detector.model_key} on {detector.executor.name}; "
        f"rejects above {detector.threshold:.4g}: at most {detector.false_reject_rate:.2%} of good parts"
    ]
    if detector.false_reject_rate > wanted:
        needed = math.ceil(1 / wanted - 1e-9) - 1
        lines.append(
            f"note: {wanted:.2%} was asked for; the {calibration.count} held-out parts can promise no less than "
            f"{calibration.smallest_rate:.2%} (that needs {needed} of them)"
        )
    return lines


def make_sinks(
    source: Source,
    detector: Detector,
    stats: Stats,
    out: TextIO,
    jsonl: str | None,
    rejects: str | None,
    show: bool,
    everything: str | None = None,
    limit_mb: int | None = None,
) -> list[Sink]:
    """The sinks asked for. The terminal's line comes last: it counts what the others have taken.

    Raises:
        EdgeirfError: a file or window cannot be opened.
    """
    from edgeirf.runtime.line.status import LiveStatus
    from edgeirf.runtime.sinks.jsonl import JsonLines
    from edgeirf.runtime.sinks.rejects import RejectSaver
    from edgeirf.runtime.sinks.window import Window

    sinks: list[Sink] = []
    if show:
        sinks.append(Window(source))
    if jsonl is not None:
        lines = JsonLines(jsonl)
        if lines.held:
            say(f"{jsonl}: verdicts are added to the {lines.held} bytes that it holds")
        sinks.append(lines)
    if rejects is not None:
        sinks.append(RejectSaver(rejects, limit_mb=limit_mb))
    if everything is not None:
        sinks.append(RejectSaver(everything, everything=True, limit_mb=limit_mb))
    return [*sinks, LiveStatus(out, stats, source)]


def finish(stats: Stats, problem: EdgeirfError | None, fail_on_reject: bool) -> None:
    """Ends the command with the exit code that the run deserves.

    Raises:
        EdgeirfError: the run ended early, or frames could not be inspected.
        typer.Exit: with 1, for rejects where that was asked for.
    """
    if problem is not None:
        raise problem
    if stats.errors:
        raise EdgeirfError(f"{stats.errors} of {stats.frames} frames could not be inspected and count as rejects")
    if fail_on_reject and stats.rejects:
        raise typer.Exit(1)
