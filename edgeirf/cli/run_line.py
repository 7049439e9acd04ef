"""``edgeirf run line.toml``: a line as its file describes it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgeirf.cli.console import echo, show_line, stop_on_signal
from edgeirf.errors import EdgeirfError

if TYPE_CHECKING:
    from edgeirf.part import PartVerdict
    from edgeirf.runtime.line.config import LineConfig
    from edgeirf.runtime.line.line import Line
    from edgeirf.runtime.line.realtime import RealtimeSettings

STATUS_S = 10.0


def run_line(path: Path, max_parts: int | None, fail_on_reject: bool, realtime: bool) -> None:
    """Runs a line until its files end, or a signal comes.

    Raises:
        EdgeirfError: the file is wrong, something cannot be opened, the line ended in FAULT, or an output was away and
            verdicts were lost to it.
        typer.Exit: with 1, for rejects where that was asked for.
    """
    from edgeirf.runtime.line.line import Line
    from edgeirf.runtime.line.notify import Notifier
    from edgeirf.runtime.line.opening import open_plan

    counts, notifier = Counts(), Notifier()

    def changed(state: str, reason: str) -> None:
        show_line(f"edgeirf: {state}{f': {reason}' if reason else ''}", sys.stderr)
        notifier.status(f"{state} {reason}")
        if state in ("RUNNING", "DEGRADED", "FAULT"):  # the service is up, also where an output is away
            notifier.ready()

    config = _config(path)
    plan = open_plan(config, lambda line: show_line(line, sys.stdout))
    plan = replace(plan, prepare=partial(enter_realtime, config.realtime) if realtime else plan.prepare)
    plan = replace(plan, alive=notifier.feed)
    line = Line(plan, counts.add, changed, max_parts)
    with stop_on_signal(line.stop), _status(lambda: counts.line(line)):
        problem = line.run()
    notifier.stopping()
    show_line(counts.line(line), sys.stdout)
    if problem is not None:
        raise problem
    lost = [thread.output.name for thread in line.outputs if thread.counters.lost]
    if lost:
        raise EdgeirfError(f"verdicts were lost to {', '.join(lost)}: see the line above")
    if fail_on_reject and counts.rejects:
        raise typer.Exit(1)


def enter_realtime(settings: RealtimeSettings | None = None) -> None:
    """Asks the system for locked memory and priority, and shows what it gives."""
    from edgeirf.runtime.line import realtime

    for line in realtime.enter_realtime(settings or realtime.RealtimeSettings()):
        show_line(line, sys.stdout)


@contextmanager
def _status(line: Callable[[], str]) -> Iterator[None]:
    """A line every :data:`STATUS_S` seconds, on a thread of its own: a terminal may wait."""
    ended = threading.Event()

    def show() -> None:
        while not ended.wait(STATUS_S):
            show_line(line(), sys.stdout)

    threading.Thread(target=show, name="status", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def check_line(path: Path) -> None:
    """Opens everything that the file names, and says of each whether it works.

    Raises:
        typer.Exit: with 1, when something does not work.
        EdgeirfError: the file is wrong.
    """
    from edgeirf.runtime.line.checking import check_plan

    failed = 0
    for name, problem in check_plan(_config(path)):
        failed += problem is not None
        echo(f"{name}: {'works' if problem is None else f'FAILS: {problem}'}")
    if failed:
        echo(f"edgeirf: {failed} of the parts of {path} do not work", err=True)
        raise typer.Exit(1)


class Counts:
    """What the line decided.

    Attributes:
        parts, rejects: verdicts, and rejects among them.
        reasons: rejects by their reason, without those that were inspected.
    """

    def __init__(self) -> None:
        self.parts = self.rejects = 0
        self.reasons: dict[str, int] = {}

    def add(self, verdict: PartVerdict) -> None:
        """Counts a verdict."""
        self.parts += 1
        self.rejects += verdict.reject
        if verdict.reason != "inspected":
            self.reasons[verdict.reason] = self.reasons.get(verdict.reason, 0) + 1

    def line(self, line: Line) -> str:
        """One line for people."""
        parts = [f"{self.parts} parts", f"{self.rejects} rejected"]
        parts += [f"{count} {reason.replace('_', ' ')}" for reason, count in self.reasons.items()]
        parts += [f"{line.missed} triggers refused"] * (line.missed > 0)
        parts += [f"{line.dropped} frames dropped"] * (line.dropped > 0)
        parts += [f"camera {name} was away {count} time{'s' * (count > 1)}" for name, count in line.losses.items()]
        for thread in line.outputs:
            if thread.output.waiting:
                parts.append(f"{thread.output.name}: {thread.output.waiting} records wait on disk")
            if thread.counters.lost:
                parts.append(f"{thread.output.name}: {thread.counters.lost} verdicts lost")
        return " · ".join(parts)


def _config(path: Path) -> LineConfig:
    """The configuration; every problem of the file is one line."""
    from edgeirf.runtime.line.config import read_config
    from edgeirf.runtime.line.toml_table import ConfigErrors

    try:
        return read_config(path)
    except ConfigErrors as error:
        for problem in error.problems:
            echo(f"edgeirf: {problem}", err=True)
        raise typer.Exit(2) from None
