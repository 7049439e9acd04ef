"""The anchor: the head of an audit in a small file, which can be kept elsewhere and be signed."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from pathlib import Path

from edgeirf.errors import EdgeirfError, OutputError, UsageError
from edgeirf.files import write_text


@dataclass(frozen=True)
class Anchor:
    """How many rows an audit had, and the hash of the last one.

    >>> Anchor(rows=3, head="1f" * 32).signature
    ''

    Attributes:
        rows: number of rows.
        head: hash of the last one.
        at: seconds since 1970.
        signature: HMAC-SHA256 of the others, 64 hexadecimal digits; empty: not signed.
    """

    rows: int
    head: str
    at: float = 0.0
    signature: str = ""

    def signed_with(self, key: bytes) -> str:
        """What :attr:`signature` must be."""
        return hmac.new(key, f"{self.rows} {self.head} {self.at!r}".encode(), hashlib.sha256).hexdigest()


def anchor_path(audit: Path) -> Path:
    """``audit.db.head``."""
    return audit.with_name(f"{audit.name}.head")


def write_anchor(audit: Path, rows: int, head: str, key: bytes | None) -> None:
    """Writes the anchor beside an audit.

    Raises:
        OutputError: it cannot be written.
    """
    plain = Anchor(rows, head, time.time())
    signature = "" if key is None else plain.signed_with(key)
    try:
        write_text(anchor_path(audit), json.dumps({**vars(plain), "signature": signature}) + "\n")
    except EdgeirfError as error:
        raise OutputError(str(error)) from None


def read_anchor(audit: Path) -> Anchor | None:
    """The anchor beside an audit, None where there is none.

    Raises:
        EdgeirfError: the file is no anchor.
    """
    path = anchor_path(audit)
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text())
        return Anchor(int(found["rows"]), str(found["head"]), float(found["at"]), str(found["signature"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EdgeirfError(
            f"{path} is no anchor of an audit ({error}): fetch the copy that you keep elsewhere"
        ) from None


def read_key(path: Path) -> bytes:
    """The key in a file, without white space at its ends.

    Raises:
        UsageError: the file cannot be read or is empty.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise UsageError(f"cannot read the key {path}: {error.strerror or error}") from None
    if not key:
        raise UsageError(f"the key {path} is empty")
    return key
