"""Notes of steps that may end the process: a driver that faults, memory that runs out.

The rule: what ended a process is not done again in the same way. A note is written before such a step and removed after
it, however it ends. A note that is left says that the process ended inside the step; the next start takes the next
smaller choice. Where there is none, the step is tried again. Notes are upkeep: where they cannot be kept, nothing is.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgeirf.ending import leaving
from edgeirf.errors import BackendError, EdgeirfError
from edgeirf.files import sha256
from edgeirf.runtime.cache import sealed
from edgeirf.runtime.cache.folder import cache_folder

log = logging.getLogger("edgeirf")


@dataclass(frozen=True)
class Step:
    """A step that may end the process.

    >>> step = Step("starting fp16 on Orin with TensorRT 10.7.0", ("sha256 of the bundle",))
    >>> with noted(step, smaller=True):
    ...     pass  # build the engine

    Attributes:
        doing: for people; with the device and the library.
        about: what else decides whether it works.
    """

    doing: str
    about: tuple[str, ...]

    @property
    def file(self) -> str:
        """Name of its note."""
        return f"{sha256(json.dumps([self.doing, *self.about]).encode())[:16]}.note"


@contextmanager
def noted(step: Step, *, smaller: bool) -> Iterator[None]:
    """Runs a step under its note.

    Args:
        step: what runs inside.
        smaller: the caller has a smaller choice.

    Raises:
        BackendError: a process ended inside the step before, and there is a smaller choice.
    """
    path = _path(step)
    with _opened(path) as handle:
        left = handle is not None and os.fstat(handle).st_size > 0
        if left and smaller:
            raise BackendError(
                f"a process ended while {step.doing} (memory, the driver, or a kill): delete {path} to try it again"
            )
        if left:
            log.warning("a process ended while %s; there is no smaller choice: trying it again", step.doing)
        with _kept(path, handle, step):
            yield


def _path(step: Step) -> Path | None:
    with suppress(EdgeirfError):
        return sealed.private_folder(cache_folder() / "notes") / step.file
    return None


@contextmanager
def _opened(path: Path | None) -> Iterator[int | None]:
    """The note's file, locked; None where it cannot be used, or another process runs the step at this moment.

    The lock is the kernel's and goes with the process that holds it: a file with text and without a lock was left.
    """
    handle = None
    with suppress(OSError):
        if path is not None:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield handle if handle is not None and _locked(handle) else None
    finally:
        if handle is not None:
            os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def _kept(path: Path | None, handle: int | None, step: Step) -> Iterator[None]:
    if path is None or handle is None:
        yield
        return

    def remove() -> None:
        with suppress(OSError):
            os.ftruncate(handle, 0)  # who opened it a moment ago must not take it for one that was left
            path.unlink(missing_ok=True)

    leaving.append(remove)
    try:
        with suppress(OSError):
            os.pwrite(handle, f"process {os.getpid()}: {step.doing}\n".encode(), 0)
        yield
    finally:
        leaving.remove(remove)
        remove()
