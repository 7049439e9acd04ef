"""Real time: the process keeps its memory, its priority and its processors, so that no verdict waits for them.

Each right may be missing; what is refused is said with the reason and the cure, and the line runs without it.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeirf.errors import UsageError

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_PR_SET_TIMERSLACK: Final = 29
_CAP_IPC_LOCK: Final = 14


@dataclass(frozen=True)
class RealtimeSettings:
    """What the line asks of the system.

    >>> RealtimeSettings(cores=(2, 3)).priority
    40

    Attributes:
        priority: of SCHED_FIFO, 1 to 99. Interrupt threads of a real-time kernel have 50: the camera's driver must be
            above the line.
        lock_memory: pages are never swapped out.
        timer_slack_ns: by how much the kernel may delay a wake-up to save energy; 50,000 by default.
        cores: processors that the line may use; empty for all.
    """

    priority: int = 40
    lock_memory: bool = True
    timer_slack_ns: int = 1
    cores: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.priority <= 99:
            raise UsageError(f"a real-time priority lies between 1 and 99, not at {self.priority}")
        if self.timer_slack_ns < 1 or any(core < 0 for core in self.cores):
            raise UsageError("timer slack is 1 ns at least, and cores are numbered from 0")


def enter_realtime(settings: RealtimeSettings) -> list[str]:
    """Asks the system for everything, one after the other. Call it when the detector is loaded: its threads take part.

    Threads that start later inherit the priority, the slack and the cores of the thread that starts them.

    Returns:
        a line for each: what holds now, or what was refused, why, and what to do.
    """
    steps: list[tuple[str, Callable[[], str]]] = []
    if settings.cores:
        steps.append(("cores", lambda: _pin(settings.cores)))
    if settings.lock_memory:
        steps.append(("locked memory", _lock_memory))
    steps.append(("timer slack", lambda: _slack(settings.timer_slack_ns)))
    steps.append(("priority", lambda: _priority(settings.priority)))  # last: nothing slow follows at this priority
    return [_said(name, step) for name, step in steps]


def _said(name: str, step: Callable[[], str]) -> str:
    try:
        return f"real time: {step()}"
    except (OSError, AttributeError, ValueError) as error:
        return f"real time: {name} refused: {error}"


def _threads() -> list[int]:
    """Kernel ids of the threads of this process."""
    return [int(path.name) for path in Path("/proc/self/task").iterdir()]


def _pin(cores: tuple[int, ...]) -> str:
    here = os.sched_getaffinity(0)
    if missing := sorted(set(cores) - here):
        raise OSError(
            f"this process has no core {', '.join(map(str, missing))}, only {_listed(here)}: choose from them"
        )
    for thread in _threads():
        os.sched_setaffinity(thread, cores)
    return f"runs on core {_listed(set(cores))}"


def _lock_memory() -> str:
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if limit != resource.RLIM_INFINITY and not _has_capability(_CAP_IPC_LOCK):
        # With a finite limit the lock may succeed, and a later allocation ends the line.
        raise OSError(
            f"the limit of locked memory is {limit // 1024} KiB: set LimitMEMLOCK=infinity in the systemd unit, or "
            "memlock to unlimited in /etc/security/limits.conf"
        )
    _call("mlockall", _MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)
    return "memory is locked"


def _slack(nanoseconds: int) -> str:
    _call("prctl", _PR_SET_TIMERSLACK, ctypes.c_ulong(nanoseconds), 0, 0, 0)
    return f"timer slack is {nanoseconds} ns"


def _priority(priority: int) -> str:
    try:
        for thread in _threads():
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))
    except PermissionError:
        raise OSError(
            f"this user may not have priority {priority}: set LimitRTPRIO={priority} in the systemd unit, or rtprio in "
            "/etc/security/limits.conf; in a container add the capability SYS_NICE"
        ) from None
    return f"SCHED_FIFO with priority {priority}"


def _call(name: str, *arguments: object) -> None:
    """Calls a function of the C library.

    Raises:
        OSError: it failed.
        AttributeError: the C library has no such function.
    """
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    if function(*arguments) != 0:
        raise OSError(os.strerror(ctypes.get_errno()))


def _has_capability(bit: int) -> bool:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> bit & 1)
    return False


def _listed(cores: set[int]) -> str:
    return ", ".join(map(str, sorted(cores)))
