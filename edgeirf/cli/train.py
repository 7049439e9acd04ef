"""``edgeirf train``: a folder of good parts to a trained run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.progress import TextColumn

from edgeirf.cli.console import console, echo, parse_numbers, parse_size, progress_bar, say, stop_on_signal
from edgeirf.errors import EdgeirfError, UsageError

if TYPE_CHECKING:
    from edgeirf.trainers.dataset import Survey
    from edgeirf.trainers.run import Run
    from edgeirf.trainers.train import Step

NAME = "train"
STEPS = 700
"""Default of :class:`edgeirf.trainers.prepare.Recipe`, known without importing torch."""


def main(
    folder: Path = typer.Argument(None, metavar="DIR", help="Pictures of good parts, or MVTec layout (train/good)."),
    output: Path = typer.Option(None, "--output", "-o", help="Run folder to create; default: runs/<name of DIR>."),
    resume: Path = typer.Option(None, "--resume", help="Continue this interrupted run."),
    preset: str = typer.Option("nano", help="Noise network: nano, small, base (base wants a GPU to train)."),
    backbone: str = typer.Option("lite0", help="Feature network: lite0, lite1, lite2, timm:MODEL."),
    unified: bool = typer.Option(False, "--unified", help="DIR holds a folder for each of several products."),
    size: str = typer.Option("auto", help="Network input: WIDTHxHEIGHT, one number, or auto: fits the pictures."),
    roi: str = typer.Option(None, help="Inspect only x,y,width,height of the frame, in pixels."),
    tiles: str = typer.Option("1x1", help="Cut the region into ROWSxCOLUMNS tiles, for fine defects in large frames."),
    method: str = typer.Option("irf", help="Method of the run: irf (one step) or invad (DDIM inversion)."),
    tolerate: str = typer.Option(
        "default", help="Changes that are no defect: light=8%, blur=0.8px, rotate=1deg, shift=1.5%, noise=3, jpeg=70."
    ),
    exclude: Path = typer.Option(
        None, "--exclude", metavar="FILE", help="Text file: names of pictures to leave out, one a line."
    ),
    steps: int = typer.Option(STEPS, help="Training steps."),
    batch: int = typer.Option(None, help="Pictures (tiles) in a step; default: 16 of 256x256 pixels."),
    learning_rate: float = typer.Option(1e-3, help="Peak learning rate."),
    minutes: float = typer.Option(None, "--minutes", "--max-minutes", help="Time budget; keeps the model so far."),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    amp: str = typer.Option("auto", help="bfloat16 autocast: auto, bf16, off."),
    cross_fit: bool = typer.Option(
        False, "--cross-fit", help="Train five times, so that every picture sets the threshold: five times the time."
    ),
    seed: int = typer.Option(0, help="Seed; the same seed, data and machine give the same model."),
) -> None:
    """Train on pictures of good parts."""
    need_torch()
    if (folder is None) == (resume is None):
        raise UsageError("name a folder of good parts, or an interrupted run with --resume")
    if exclude is not None and resume is not None:
        raise UsageError("--exclude is for a new run: a run that is resumed has its pictures")
    if device not in ("auto", "cpu", "cuda") or amp not in ("auto", "bf16", "off"):
        raise UsageError("--device is auto, cpu or cuda; --amp is auto, bf16 or off")
    if method not in ("irf", "invad"):
        raise UsageError(f"--method is irf or invad, not {method!r}")
    from edgeirf.calib.conditions.tolerances import Tolerances
    from edgeirf.calib.evaluation.odd_pictures import read_excluded
    from edgeirf.trainers.folds import unfinished
    from edgeirf.trainers.input_size import cost
    from edgeirf.trainers.prepare import Recipe, prepare_run
    from edgeirf.trainers.run import Run, locked

    place = resume or output or Path("runs") / folder.resolve().name
    recipe = None
    if resume is None:
        recipe = Recipe(
            preset=preset,
            backbone=backbone,
            unified=unified,
            size=None if size == "auto" else parse_size(size),
            method="irf" if method == "irf" else "invad",
            tolerate=Tolerances.parse(tolerate),
            roi=None if roi is None else _four(parse_numbers(roi, 4, "100,50,800,600")),
            tiles=_two(parse_numbers(tiles, 2, "2x3", "x")),
            steps=steps,
            batch=batch,
            learning_rate=learning_rate,
            seed=seed,
            cross_fit=cross_fit,
            excluded=() if exclude is None else read_excluded(exclude),
        )
    elif not unfinished(Run(resume)):
        raise UsageError(f"{resume} is finished: edgeirf export {resume}")
    with locked(place):
        if recipe is None:
            run = Run(place)
        else:
            with stop_on_signal() as stopped:
                run, survey = prepare_run(folder, place, recipe, _bar("reading pictures", stopped))
            _tell(survey, cross_fit)
            chosen = run.config.preprocess.size
            console.print(f"network input {chosen[1]}x{chosen[0]}, {cost(chosen):.3g} times the work of 256x256")
        _train_all(run, device, amp, minutes)
    echo(f"trained {run.folder}; next: edgeirf export {run.folder}")


def _train_all(run: Run, device: str, amp: str, minutes: float | None) -> None:
    """The run, and its folds where it is cross-fitted; those that are finished stay."""
    from edgeirf.trainers.folds import create_folds

    runs = [run]
    if run.config.cross_fit:
        with stop_on_signal() as stopped:
            runs += create_folds(run, _bar("reading pictures", stopped))
    for number, one in enumerate(runs, 1):
        if len(runs) > 1:
            say(f"training {number} of {len(runs)}")
        if not one.finished:
            share = None if minutes is None else minutes / len(runs)
            train_run(one, device=device, amp=amp, max_minutes=share, resume=run.folder)


def train_run(
    run: Run,
    *,
    device: str = "auto",
    amp: str = "auto",
    max_minutes: float | None = None,
    resume: Path | None = None,
) -> None:
    """Trains with a progress bar; Ctrl-C and SIGTERM leave a run that resumes.

    Args:
        run: to train.
        device, amp, max_minutes: see :func:`edgeirf.trainers.train.train`.
        resume: folder that ``--resume`` takes; None is that of the run.

    Raises:
        typer.Exit: stopped by a signal, code 130.
    """
    from edgeirf.trainers.train import train

    with stop_on_signal() as stopped, progress_bar(TextColumn("loss {task.fields[loss]}")) as bar:
        task = bar.add_task("training", total=run.config.steps, loss="-", start=True)

        def show(step: Step) -> None:
            bar.update(task, completed=step.done, loss=f"{step.loss:.4f}")
            if not console.is_terminal and (step.done % 100 == 0 or step.done == step.total):
                minutes, seconds = divmod(round(step.seconds_left), 60)
                say(f"step {step.done} of {step.total}, loss {step.loss:.4f}, {minutes}:{seconds:02} left")

        done = train(
            run,
            device=device,
            amp=amp,
            max_minutes=max_minutes,
            on_step=show,
            stop=stopped,
            progress=_bar("computing features", stopped),
        )
    if not done:
        say(f"edgeirf: stopped; edgeirf train --resume {resume or run.folder} goes on from here")
        raise typer.Exit(130)


def _bar(description: str, stopped: Any) -> Any:
    def wrap(items: Iterable[Path]) -> Iterator[Path]:
        items = list(items)
        with progress_bar() as bar:
            task = bar.add_task(description, total=len(items))
            for item in items:
                if stopped():
                    say(f"edgeirf: stopped while {description}")
                    raise typer.Exit(130)
                yield item
                bar.advance(task)

    return wrap


def _tell(survey: Survey, cross_fit: bool) -> None:
    for line in survey.unreadable:
        say(f"left out: {line}")
    held_out = sum(sample.calibration for sample in survey.samples)
    shapes = survey.shapes
    dimensions = f"{shapes[0][1]}x{shapes[0][0]}" if len(shapes) == 1 else f"{len(shapes)} different sizes"
    depth = "" if survey.bits == 8 else f", {survey.bits} bit"
    say(
        f"{len(survey.samples) - held_out} pictures to train on, {held_out} held out to set the threshold "
        f"({dimensions}, {'gray' if survey.color == 'gray' else 'colour'}{depth})"
    )
    products = len({sample.product for sample in survey.samples})
    promising = len(survey.samples) if cross_fit else held_out
    say(
        f"{promising} held-out pictures can promise a false-reject rate of {100 / (promising + 1):.2g} % or more"
        if products == 1
        else f"{products} products"
    )


def need_torch() -> None:
    """Raises EdgeirfError, with the command that installs PyTorch, where it is missing."""
    try:
        import torch  # noqa: F401
    except ImportError:
        raise EdgeirfError("training needs PyTorch: pip install '.[train]' in the clone") from None


def _two(numbers: tuple[int, ...]) -> tuple[int, int]:
    return numbers[0], numbers[1]


def _four(numbers: tuple[int, ...]) -> tuple[int, int, int, int]:
    return numbers[0], numbers[1], numbers[2], numbers[3]
