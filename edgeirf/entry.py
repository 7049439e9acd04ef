"""The program's first lines: they load nothing that takes long, so that Ctrl-C ends in one line from the start."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from edgeirf.ending import watch_endings


def main() -> None:
    """Entry point of the command ``edgeirf``."""
    before = signal.signal(signal.SIGINT, _end) if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN else None
    try:
        from edgeirf.cli import main as command_line
    except ImportError as error:  # of NumPy or typer: the others are imported inside the commands
        from edgeirf.needs import not_started

        sys.exit(f"edgeirf: {not_started(error.name or 'numpy', error)}")
    if before is not None:
        signal.signal(signal.SIGINT, before)
    watch_endings()
    command_line()


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, b"edgeirf: interrupted\n")
    os._exit(130)
