"""Progress bars, sizes and interruption, the same in every command."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from edgeirf.ending import SIGNALS, phases
from edgeirf.errors import UsageError
from edgeirf.text import printable

console = Console(stderr=True, highlight=False, markup=False, emoji=False)
"""Progress and remarks go to stderr; stdout is for results."""


def echo(line: str, *, err: bool = False) -> None:
    """Prints one line, whatever names are in it."""
    typer.echo(printable(line), err=err)


def show_line(line: str, stream: TextIO) -> None:
    """Prints a line beside the verdicts. When nobody reads the stream any more, it is closed and the work goes on."""
    try:
        print(printable(line), file=stream, flush=True)
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_page(*parts: RenderableType) -> None:
    """Prints tables and text to stdout: as wide as the terminal, 80 columns elsewhere, and no spaces at the ends."""
    page = Console(highlight=False, markup=False, emoji=False)
    if not page.is_terminal:
        page.width = 80
    with page.capture() as captured:
        for part in parts:
            page.print(part)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def say(line: str, style: str | None = None) -> None:
    """Remarks to stderr, as one line."""
    with suppress(OSError, ValueError):  # a remark is decoration: nobody may be there to read it
        console.print(printable(line), style=style, soft_wrap=True)


def progress_bar(*extra: TextColumn) -> Progress:
    """A bar with counts and time left; nothing moves when stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *extra, TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


@contextmanager
def engine_progress() -> Iterator[Callable[[float, str], None]]:
    """Yields the ``progress`` of :func:`edgeirf.load`; a bar appears when TensorRT builds an engine."""
    bar = progress_bar()
    tasks: list[TaskID] = []

    def report(fraction: float, phase: str) -> None:
        if not tasks:
            bar.start()
            tasks.append(bar.add_task("building the engine", total=100))
        bar.update(tasks[0], completed=round(100 * fraction))

    try:
        yield report
    finally:
        if tasks:
            bar.stop()


@contextmanager
def stop_on_signal(then: Callable[[], None] = lambda: None) -> Iterator[Callable[[], bool]]:
    """Within it, Ctrl-C, SIGTERM and SIGHUP only make the yielded function True; a second one ends at once.

    Args:
        then: called by the signal handler, for what waits instead of asking.
    """
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for other in SIGNALS:
            signal.signal(other, before[other])
        then()

    phase = object()
    phases.append(phase)
    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield lambda: bool(received)
    finally:
        phases.remove(phase)
        for number in SIGNALS:
            signal.signal(number, before[number])


def check_page(path: Path | None) -> None:
    """Says before the work, not after it, that a web page has no place to go.

    Raises:
        UsageError: the path is a folder, or not the name of a web page.
    """
    if path is not None and path.is_dir():
        raise UsageError(f"{path} is a folder: name a file")
    if path is not None and path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"the report is a web page: call it {path.with_suffix('.html')}")


def parse_numbers(text: str, count: int, example: str, separator: str = ",") -> tuple[int, ...]:
    """``count`` whole numbers in ``text``.

    Raises:
        UsageError: they are not; the message gives ``example``.
    """
    parts = text.lower().split(separator)
    if len(parts) != count or not all(_is_whole(part.strip()) for part in parts):
        raise UsageError(f"{text!r} is not like {example}")
    return tuple(int(part) for part in parts)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9


def parse_size(text: str) -> tuple[int, int]:
    """``256`` or ``384x256`` (width x height) to ``(height, width)``.

    Raises:
        UsageError: the text is neither.
    """
    numbers = parse_numbers(text, text.lower().count("x") + 1, "256 or 384x256", "x")
    if len(numbers) > 2:
        raise UsageError(f"{text!r} is not a size: write one number (256) or WIDTHxHEIGHT (384x256)")
    return numbers[-1], numbers[0]
