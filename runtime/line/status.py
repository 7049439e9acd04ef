"""The status of the line in the terminal."""

from __future__ import annotations

import shutil
import sys
from time import perf_counter, time
from typing import TextIO

from edgeirf.runtime.line.stats import Stats
from edgeirf.runtime.line.stretch import Stretch
from edgeirf.runtime.sinks import Record, Sink
from edgeirf.runtime.sources.frame import Source

TERMINAL, LOG = 0.1, 10.0
"""Seconds between updates: of a line that is rewritten in a terminal, and of lines in a log."""


class LiveStatus(Sink):
    """One line that is rewritten in place; in a file or pipe, a new line every 10 seconds.

    The reason why a frame was not inspected goes to stderr, one line each; a repeated reason is printed once.

    Args:
        stream: where the line goes.
        stats: counted by the pipeline before the sinks are called.
        source: for its total and its dropped frames.
    """

    decoration = True

    def __init__(self, stream: TextIO, stats: Stats, source: Source) -> None:
        self._stream = stream
        self._stats = stats
        self._source = source
        self._rewrites = stream.isatty()
        self._every = TERMINAL if self._rewrites else LOG
        self._due = perf_counter() + (0.0 if self._rewrites else LOG)
        self._stretch = Stretch()
        self._printed: str | None = None

    def write(self, record: Record) -> None:
        """Updates the line when it is due."""
        verdict = record.verdict
        if verdict.error is not None and verdict.error != self._printed:
            self._clear()
            print(f"edgeirf: {' '.join(verdict.error.split())}", file=sys.stderr, flush=True)
            self._printed = verdict.error
        for line in self._stretch.add(verdict, time()):
            self._clear()
            print(f"edgeirf: {line}", file=sys.stderr, flush=True)
        now = perf_counter()
        if now < self._due:
            return
        self._due = now + self._every
        line = self._stats.line(self._source.dropped, self._stats.rate, self._source.total)
        if self._rewrites:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\x1b[K{line[:width]}")
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()

    def close(self) -> None:
        """Clears the line: the summary takes its place."""
        self._clear()

    def _clear(self) -> None:
        if self._rewrites:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
