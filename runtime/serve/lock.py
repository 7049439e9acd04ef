"""A socket that one server owns."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeirf.errors import BackendError, UsageError

_WAITING = 16
"""Clients that may wait to be greeted."""


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A listening Unix socket of packets, which only this user may open; ``PATH.lock`` says that it is taken.

    A socket that an earlier server left behind is replaced; anything else of that name is kept.

    Raises:
        UsageError: another server has it, or the name belongs to something else.
        BackendError: the system refuses the socket.
    """
    with _locked(path), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        _remove_left(path)
        mask = os.umask(0o177)
        try:
            server.bind(str(path))
        except OSError as error:
            raise BackendError(f"cannot listen on {path}: {error.strerror or error}") from None
        finally:
            os.umask(mask)
        try:
            server.listen(_WAITING)
            yield server
        finally:
            with contextlib.suppress(OSError):
                path.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = path.with_name(f"{path.name}.lock")
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise UsageError(f"cannot lock {lock}: {error.strerror or error}") from None
    try:
        if not _taken(handle):
            raise UsageError(f"another server listens on {path}: end it, or name another socket")
        yield
    finally:
        os.close(handle)  # the file stays: a lock on a file that was removed would lock nothing


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_left(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise UsageError(f"{path} exists and is no socket: name another one")
        path.unlink()
