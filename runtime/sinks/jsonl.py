"""Verdicts as JSON lines."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from edgeirf.errors import EdgeirfError
from edgeirf.runtime.sinks.sink import Record, Sink


class JsonLines(Sink):
    """Writes one JSON object a line and flushes it before the next frame, so that no crash loses a verdict.

    The file is locked while it is open: lines of two runs are never mixed. A line that cannot be written whole, on a
    full disk, is taken back.

    Args:
        path: the file; lines are added to what it holds; ``-`` is standard output.

    Attributes:
        held: bytes that the file held before.

    Raises:
        EdgeirfError: the file cannot be opened, or another run writes to it.
    """

    def __init__(self, path: str) -> None:
        self._name = "standard output" if path == "-" else path
        try:
            if path != "-":
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._file = _standard_output() if path == "-" else _open_to_append(path)
        except OSError as error:
            raise self._cannot(error) from None
        self.held, self._regular = 0, path != "-" and stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        if self._regular:
            self._take_over(path)

    def write(self, record: Record) -> None:
        """Writes and flushes one verdict."""
        self.append(json.dumps(record.verdict.to_json(), allow_nan=False))

    def append(self, line: str) -> None:
        """Writes and flushes one line.

        Raises:
            EdgeirfError: it cannot be written whole.
        """
        end = os.fstat(self._file.fileno()).st_size if self._regular else 0
        try:
            self._write(f"{line}\n".encode())
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._regular:
                with suppress(OSError):
                    os.ftruncate(self._file.fileno(), end)
            raise self._cannot(error) from None

    def close(self) -> None:
        """Closes the file; standard output stays open."""
        if self._name != "standard output":
            self._file.close()

    def _take_over(self, path: str) -> None:
        """Locks the file, and ends a half line that a killed run left."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise EdgeirfError(f"another run writes to {path}: name another file, or end that run") from None
        except OSError:  # a file system without locks: the record matters more than the lock
            pass
        self.held = os.fstat(self._file.fileno()).st_size
        if self.held and _last_byte(path, self.held) != b"\n":
            try:
                self._write(b"\n")
            except OSError as error:
                raise self._cannot(error) from None

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._file.flush()

    def _cannot(self, error: OSError) -> EdgeirfError:
        unread = error.errno == errno.ENXIO
        reason = "nobody reads this pipe: start its reader first" if unread else error.strerror or error
        return EdgeirfError(f"cannot write {self._name}: {reason}")


def _open_to_append(path: str) -> BinaryIO:
    """Waits for nothing: a pipe that nobody reads would be a wait without end."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY, 0o666)
    os.set_blocking(handle, True)
    return os.fdopen(handle, "ab", buffering=0)


def _standard_output() -> BinaryIO:
    """Raises OSError where a launcher gave no standard output: the command line has put the null device there."""
    if sys.stdout is None or getattr(sys.stdout, "name", None) == os.devnull:
        raise OSError("this process was started without it")
    return sys.stdout.buffer


def _last_byte(path: str, size: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(size - 1)
            return file.read(1)
    except OSError:  # a file that may be written and not be read
        return b"\n"
