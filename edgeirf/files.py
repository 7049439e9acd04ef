"""Files that matter are complete or absent: written beside their final name, synced, then renamed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeirf.errors import EdgeirfError

_STALE_S = 60.0
"""Age from which a partial file that nobody holds is what a killed process left behind."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path and puts what is written there in the place of ``path`` on success.

    A file keeps its mode, and a symbolic link stays a link: the file that it names is replaced. A device or pipe is
    written to. On any exception, Ctrl-C included, the temporary file is removed and ``path`` stays as it was.

    Raises:
        EdgeirfError: the folder cannot be created or written, or the file may not be written.
    """
    shown = Path(path)
    try:
        final = Path(os.path.realpath(shown))
        before = _status(final)
        special = before is not None and not stat.S_ISREG(before.st_mode)
        if before is not None and not os.access(final, os.W_OK):
            raise PermissionError(13, "Permission denied")
        folder = None if special else final.parent
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_stale(folder, final.name)
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{final.name[:100]}.", suffix=".partial")
    except (OSError, ValueError) as error:
        raise _cannot(shown, error) from error
    temporary = Path(name)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # tells _remove_stale() that its owner lives
        yield temporary
        if special:
            _pour(temporary, final)
            return
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask() if before is None else stat.S_IMODE(before.st_mode))
        if before is not None:
            with contextlib.suppress(OSError):  # only root gives files away
                os.chown(temporary, before.st_uid, before.st_gid)
        os.replace(temporary, final)
    except OSError as error:
        raise _cannot(shown, error) from error
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes ``data`` to ``path`` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes ``text`` (UTF-8) to ``path`` atomically."""
    write_bytes(path, text.encode())


def check_writable(path: str | os.PathLike[str]) -> None:
    """Passes a file that can be written when the work is done. Nothing is created.

    Raises:
        EdgeirfError: it could not.
    """
    shown = Path(path)
    try:
        place = Path(os.path.realpath(shown))
        found = _status(place)
        if found is not None and stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(21, "Is a directory")
        while found is None:
            place = place.parent
            found = _status(place)
            if found is not None and not stat.S_ISDIR(found.st_mode):
                raise NotADirectoryError(20, f"{place} is not a directory")
        if not os.access(place, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except (OSError, ValueError) as error:
        raise _cannot(shown, error) from None


def sha256(data: bytes) -> str:
    """The SHA-256 of ``data`` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _pour(source: Path, target: Path) -> None:
    """Writes a file into a device or pipe. A pipe that nobody reads is an error, not a wait without end."""
    handle = os.open(target, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    os.set_blocking(handle, True)
    with os.fdopen(handle, "wb") as file:
        file.write(source.read_bytes())


def _remove_stale(folder: Path, name: str) -> None:
    for path in folder.glob(f".{_escaped(name[:100])}.*.partial"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - os.fstat(file.fileno()).st_mtime > _STALE_S:
                path.unlink()


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _cannot(path: Path, error: OSError | ValueError) -> EdgeirfError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return EdgeirfError(f"cannot write {path}: {reason}")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
