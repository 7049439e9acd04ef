"""Files that only this user may have written: an engine is native code, and loading one is running it.

A folder of mode 0700 that belongs to the user keeps others out; the SHA-256 finds what broke by itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgeirf.errors import BackendError, EdgeirfError
from edgeirf.files import replacing

MAGIC = b"edgeirf-sealed 1\n"
MAX_HEADER = 4 * 1024**2
MAX_PAYLOAD = 8 * 1024**3


class DamagedError(EdgeirfError):
    """A sealed file is not one, not ours, or not whole."""


def private_folder(folder: Path) -> Path:
    """Creates ``folder`` with mode 0700, or checks that it is this user's and that no other user can write to it.

    Raises:
        BackendError: it belongs to someone else or is open to others; the message says what to do.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.lstat()
    except OSError as error:
        raise BackendError(f"cannot use {folder} ({error.strerror or error}): set EDGEIRF_CACHE") from None
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
        raise BackendError(f"{folder} belongs to another user: set EDGEIRF_CACHE to a folder of your own")
    if state.st_mode & 0o022:
        raise BackendError(f"others can write to {folder}, where programs are kept: delete it and try again")
    if state.st_mode & 0o077:
        with suppress(OSError):  # others can read it, on a file system that is read-only: no reason to stop
            folder.chmod(0o700)
    return folder


def write(path: Path, header: dict[str, Any], payload: bytes) -> None:
    """Writes ``header`` and ``payload`` atomically.

    Raises:
        EdgeirfError: the file cannot be written.
    """
    sealed = {"header": header, "size": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(MAGIC + json.dumps(sealed).encode() + b"\n")
        file.write(payload)


def read(path: Path) -> tuple[dict[str, Any], bytes]:
    """Header and payload of a file of :func:`write`.

    Raises:
        FileNotFoundError: there is none.
        DamagedError: it is damaged, foreign, or another user's.
    """
    with _open(path) as file:
        sealed = _read_seal(path, file)
        if not isinstance(sealed.get("size"), int) or not 0 <= sealed["size"] <= MAX_PAYLOAD:
            raise DamagedError(f"{path} is damaged")
        payload = file.read(sealed["size"] + 1)
    if len(payload) != sealed["size"] or hashlib.sha256(payload).hexdigest() != sealed.get("sha256"):
        raise DamagedError(f"{path} is damaged")
    return sealed["header"], payload


def read_header(path: Path) -> dict[str, Any]:
    """The header alone; raises as :func:`read` does."""
    with _open(path) as file:
        header: dict[str, Any] = _read_seal(path, file)["header"]
        return header


def _open(path: Path) -> Any:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(f"cannot read {path}: {error.strerror or error}") from None
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode) or state.st_uid != os.geteuid():
        os.close(handle)
        raise DamagedError(f"{path} is not this user's file")
    return os.fdopen(handle, "rb")


def _read_seal(path: Path, file: Any) -> dict[str, Any]:
    try:
        if file.read(len(MAGIC)) == MAGIC:
            sealed = json.loads(file.readline(MAX_HEADER))
            if isinstance(sealed, dict) and isinstance(sealed.get("header"), dict):
                return sealed
    except (ValueError, RecursionError):
        pass
    raise DamagedError(f"{path} is damaged")
