"""How a process is asked to end.

The rule of ending: SIGINT, SIGTERM and SIGHUP end the process within 2 seconds in every phase. A phase that has
something to finish, :func:`edgeirf.cli.console.stop_on_signal`, finishes it, at the longest :data:`FINISH_S`; elsewhere
the command is unwound, and when a library does not return in time (a camera that opens, an engine that builds), the
process ends without it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a process to end."""
phases: list[object] = []
"""Phases that finish what they have when a signal comes: the innermost is the last. A second signal does not wait."""
asked: list[int] = []
"""Signals that were raised: a library that they hit while it starts makes an error of its own of them."""
leaving: list[Callable[[], None]] = []
"""What is done first where the process ends without the command: short, without a lock, and never an error."""
GRACE_S = 1.5
"""What the command has to unwind before the process ends without it."""
FINISH_S = 8.0
"""What a phase has that does not return: less than the 10 s after which containers are killed."""


class Ended(BaseException):
    """A signal asks the process to end. No KeyboardInterrupt: typer would make exit code 130 of each, without a line.

    Attributes:
        code: exit code, 128 and the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number


def watch_endings(grace_s: float = GRACE_S, finish_s: float = FINISH_S) -> None:
    """From now on each signal that is not ignored ends the process in time, also while a library does not return.

    As the first process of a container it has no default actions: without handlers SIGTERM would be ignored.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)
    inlet, outlet = os.pipe()
    os.set_blocking(outlet, False)
    signal.set_wakeup_fd(outlet, warn_on_full_buffer=False)  # written by the C handler, whatever Python waits for
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))  # a child's signals are not this process's
    threading.Thread(target=_watch, args=(inlet, grace_s, finish_s), name="endings", daemon=True).start()


def _watch(inlet: int, grace_s: float, finish_s: float) -> None:
    """Ends the process when no Python code took notice of a signal."""
    finishing: object = None
    while received := os.read(inlet, 1):
        number = received[0]
        if number not in SIGNALS:
            continue
        if phases and phases[-1] is not finishing:
            finishing = phases[-1]
            threading.Thread(target=_end_phase, args=(finishing, finish_s, number), daemon=True).start()
            continue
        if signal.getsignal(number) is not _raise:
            continue
        time.sleep(grace_s)
        _end(number)


def _end_phase(phase: object, finish_s: float, number: int) -> None:
    time.sleep(finish_s)
    if phase in phases:
        _end(number)


def _end(number: int) -> None:
    for leave in list(leaving):
        leave()
    os.write(2, b"edgeirf: interrupted\n")
    os._exit(128 + number)


def _raise(number: int, frame: FrameType | None) -> None:
    asked.append(number)
    raise Ended(number)
