"""Checks an audit: every row is there, and as it was written."""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from edgeirf.runtime.audit.anchor import Anchor
from edgeirf.runtime.audit.row import COLUMNS, FIRST, FOLLOWS, AuditRow

_ALL = f"select {', '.join(COLUMNS)} from audit order by row"  # noqa: S608


@dataclass(frozen=True)
class Verification:
    """What the check of an audit found.

    >>> Verification(rows=3, head="1f" * 32).problem is None
    True

    Attributes:
        rows: number of rows that were checked.
        head: hash of the last of them.
        problem: one line: what is wrong; None: nothing.
        anchored: rows that an anchor covers: none of them can be removed or replaced without notice.
        follows: name of the file that was put aside before this one; empty: there was none.
    """

    rows: int
    head: str
    problem: str | None = None
    anchored: int = 0
    follows: str = ""


def verify_rows(
    db: sqlite3.Connection, anchor: Anchor | None = None, key: bytes | None = None, head: str | None = None
) -> Verification:
    """Checks number, link and hash of every row.

    Without an anchor or a head from elsewhere, two things do not show: rows removed at the end, and an audit that
    somebody computed anew from a row on.

    Args:
        db: an open audit.
        anchor: the file beside it.
        key: the anchor must be signed with it.
        head: a head that was kept elsewhere: it must be the hash of a row.
    """
    before = file_before(db)
    rows, last, met = 0, FIRST if before is None else before.head, set[str]()
    wanted = {} if anchor is None else {anchor.rows: anchor.head}
    for row in _rows(db):
        rows += 1
        problem = _problem(row, rows, last) or _unlike(row, wanted)
        if problem is not None:
            return Verification(rows - 1, last, problem)
        last = row.hash
        met |= {last} & {head}
    covered, name = 0 if anchor is None else anchor.rows, "" if before is None else before.name
    return Verification(rows, last, _missing(rows, met, anchor, key, head), covered, name)


@dataclass(frozen=True)
class Before:
    """The file that was put aside before this one.

    Attributes:
        name: of the file.
        head: hash of its last row, as the first row of this file has it.
    """

    name: str
    head: str


def file_before(db: sqlite3.Connection) -> Before | None:
    """What the first row says of the file before this one; None where there was none."""
    found = db.execute("select detail, previous from audit where row = 1 and kind = 'start'").fetchone()
    if found is None or not str(found[0] or "").startswith(FOLLOWS):
        return None
    return Before(str(found[0]).removeprefix(FOLLOWS), str(found[1]))


def last_hash(db: sqlite3.Connection) -> str:
    """Hash of the last row."""
    found = db.execute("select hash from audit order by row desc limit 1").fetchone()
    return FIRST if found is None else str(found[0])


def _problem(row: AuditRow, expected: int, previous: str) -> str | None:
    if row.row != expected:
        return f"row {expected} is missing: somebody removed it"
    if row.previous != previous:
        return f"row {expected} does not follow the row before it: one of the two was replaced"
    try:
        same = row.hash == row.digest()
    except (TypeError, ValueError):  # somebody put in what no row holds
        same = False
    return None if same else f"row {expected} was changed after it was written"


def _unlike(row: AuditRow, wanted: dict[int, str]) -> str | None:
    if row.hash == wanted.get(row.row, row.hash):
        return None
    return f"row {row.row} is not the one of the anchor: the audit was computed anew"


def _missing(rows: int, met: set[str], anchor: Anchor | None, key: bytes | None, head: str | None) -> str | None:
    if key is not None and anchor is None:
        return "there is no anchor that the key could have signed"
    if anchor is not None:
        if key is not None and not hmac.compare_digest(anchor.signature, anchor.signed_with(key)):
            return "the anchor is not signed with this key"
        if rows < anchor.rows:
            return f"the last {anchor.rows - rows} rows are missing: the anchor has {anchor.rows}, the audit {rows}"
    if head is not None and not met:
        return "no row has the head that was kept: the audit was computed anew, or its end was removed"
    return None


def _rows(db: sqlite3.Connection) -> Iterator[AuditRow]:
    for values in db.execute(_ALL):
        yield AuditRow(**dict(zip(COLUMNS, values, strict=True)))
