"""The program's first lines: they load nothing that takes long, so that a signal ends in one line from the start."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from edgeirf.ending import SIGNALS, watch_endings


def main() -> None:
    """Entry point of the command ``edgeirf``."""
    before = {n: signal.signal(n, _end) for n in SIGNALS if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        from edgeirf.cli import main as command_line
    except ImportError as error:  # of NumPy or typer: the others are imported inside the commands
        from edgeirf.needs import not_started

        sys.exit(f"edgeirf: {not_started(error.name or 'numpy', error)}")
    for number, handler in before.items():
        signal.signal(number, handler)
    try:
        watch_endings()
    except RuntimeError:
        sys.exit("edgeirf: this process may start no thread: raise the limit (ulimit -u, --pids-limit of a container)")
    command_line()


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, b"edgeirf: interrupted\n")
    os._exit(128 + number)
