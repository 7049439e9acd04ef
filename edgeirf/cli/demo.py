"""``edgeirf demo``: the whole job on rendered parts, in a few minutes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgeirf.cli.console import echo, progress_bar, say, stop_on_signal
from edgeirf.cli.export import threshold_lines
from edgeirf.cli.train import need_torch, train_run
from edgeirf.errors import UsageError

if TYPE_CHECKING:
    from edgeirf.runtime.detector import Detector

NAME = "demo"

GOOD_PARTS = 160
STEPS = 300
TEST_GOOD, TEST_DEFECTS = 16, 6
STREAM_FRAMES = 60
STREAM = "test://?seed={seed}&defects=0.25&count={count}&size={size}"


def main(
    output: Path = typer.Option(Path("edgeirf-demo"), "--output", "-o", help="Folder to create."),
    seed: int = typer.Option(0, help="Seed of the rendered parts and defects."),
    size: int = typer.Option(480, min=256, max=1280, help="Width and height of a rendered frame in pixels."),
) -> None:
    """Render good parts, train, export, inspect a stream with defects, write a report. Needs no camera."""
    need_torch()
    from edgeirf.export.bundle import Options, export
    from edgeirf.runtime.detector import load
    from edgeirf.trainers.prepare import Recipe, prepare_run

    if output.exists() and any(output.iterdir()):
        raise UsageError(f"{output} is there already: remove it, or name another with --output")
    parts, bundle, report = output / "parts" / "flange", output / "flange.irf", output / "report.html"

    say(f"1/5 rendering {GOOD_PARTS} good parts to train on, and a test set with defects")
    _render(parts, seed, size)
    say("2/5 training on the good parts")
    recipe = Recipe(preset="nano", steps=STEPS, seed=seed)
    run, _ = prepare_run(parts, output / "runs" / "flange", recipe)
    train_run(run)
    say(f"3/5 exporting {bundle}")
    exported = export(run, bundle, Options(false_reject_rate=0.05))
    for line in threshold_lines(exported.manifest):
        echo(line)
    with load(bundle) as detector:
        say("4/5 inspecting a stream of parts, a quarter of them with defects")
        _inspect(detector, STREAM.format(seed=seed + 1, count=STREAM_FRAMES, size=size), output)
        say("5/5 measuring on the test set")
        _measure(detector, parts, report)
    echo(f"report:   {report}   (open it in a browser)")
    echo(f"rejects:  {output / 'rejects'}   (frames and heat maps)")
    echo(f"verdicts: {output / 'verdicts.jsonl'}")
    echo(f"try:      edgeirf run --model {bundle} --camera 'test://?seed=9&defects=0.3&count=100&size={size}'")


def _render(folder: Path, seed: int, size: int) -> None:
    from edgeirf.runtime.synthetic.dataset import write_dataset

    with progress_bar() as bar:
        task = bar.add_task("rendering", total=None)
        write_dataset(
            folder,
            train=GOOD_PARTS,
            test_good=TEST_GOOD,
            test_defects=TEST_DEFECTS,
            seed=seed,
            size=size,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _inspect(detector: Detector, stream: str, output: Path) -> None:
    from edgeirf.runtime.line.pipeline import run_pipeline
    from edgeirf.runtime.line.stats import Stats
    from edgeirf.runtime.sinks import Sink
    from edgeirf.runtime.sinks.jsonl import JsonLines
    from edgeirf.runtime.sinks.rejects import RejectSaver
    from edgeirf.runtime.sources.opening import open_source

    source, stats = open_source(stream), Stats()
    with ExitStack() as stack, stop_on_signal(source.stop) as stopped:
        stack.callback(source.close)
        sinks: list[Sink] = [
            JsonLines(str(output / "verdicts.jsonl")),
            RejectSaver(str(output / "rejects")),
        ]
        problem = run_pipeline(source, detector, sinks, stats)
    if problem is not None:
        raise problem
    echo(stats.line(source.dropped, stats.mean_rate))
    if stopped():
        raise typer.Exit(130)


def _measure(detector: Detector, parts: Path, report: Path) -> None:
    from edgeirf.calib.evaluation.evaluate import evaluate
    from edgeirf.calib.reports.evaluation_page import write_report
    from edgeirf.cli.evaluate import show

    evaluation = evaluate(detector, parts)
    write_report(report, [(evaluation, detector)])
    show([evaluation])
