"""Reads an audit: queries, and tables for other programs."""

from __future__ import annotations

import csv
import dataclasses
import importlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.files import replacing
from edgeirf.runtime.audit.anchor import read_anchor
from edgeirf.runtime.audit.row import COLUMNS, AuditRow
from edgeirf.runtime.audit.verify import Verification, file_before, last_hash, verify_rows

_BATCH = 10_000
"""Rows that are in memory at once."""


@dataclass(frozen=True)
class Query:
    """Which rows of an audit.

    >>> Query(rejects=True).part is None
    True

    Attributes:
        since, until: seconds since 1970; rows from ``since`` on, and before ``until``.
        part: id of one part, as a person writes it.
        rejects: only rejects.
    """

    since: float | None = None
    until: float | None = None
    part: str | None = None
    rejects: bool = False

    def where(self) -> tuple[str, list[object]]:
        """The condition in SQL, and its values."""
        terms: list[tuple[str, object]] = []
        if self.since is not None:
            terms.append(("at >= ?", self.since))
        if self.until is not None:
            terms.append(("at < ?", self.until))
        if self.part is not None:
            terms.append(("cast(part_id as text) = ?", self.part))
        if self.rejects:
            terms.append(("reject = ?", 1))
        return " and ".join(term for term, _ in terms) or "1", [value for _, value in terms]


class History:
    """An audit, opened for reading; a run may write to it meanwhile.

    >>> from edgeirf.part import PartVerdict
    >>> from edgeirf.runtime.audit.store import Audit
    >>> audit = Audit("audit.db")
    >>> audit.write(PartVerdict(part_id=7, reject=True, reason="late"))
    >>> [row.part_id for row in History("audit.db").rows(Query(rejects=True))]
    [7]

    Args:
        path: the file.

    Raises:
        EdgeirfError: there is no audit.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            if not self.path.is_file():
                raise EdgeirfError(f"cannot read {path}: no such file: name the audit of a run")
            self._db = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
            self._db.execute("select hash from audit limit 1")
        except sqlite3.Error as error:
            raise EdgeirfError(f"{path} is no audit ({error}): name the audit of a run") from None

    def rows(self, query: Query, last: int | None = None) -> Iterator[AuditRow]:
        """Rows in order; with ``last`` only so many of the newest.

        Raises:
            EdgeirfError: the file is damaged.
        """
        where, values = query.where()
        columns = ", ".join(COLUMNS)
        limit = "" if last is None else f"order by row desc limit {last}"
        statement = f"select * from (select {columns} from audit where {where} {limit}) order by row"  # noqa: S608
        try:
            for found in self._db.execute(statement, values):
                yield AuditRow(**dict(zip(COLUMNS, found, strict=True)))
        except sqlite3.Error as error:
            raise EdgeirfError(f"cannot read {self.path}: {error}") from None

    def counts(self, query: Query) -> dict[str, int]:
        """How many parts have each reason, and how many are ``parts`` and ``rejects`` in all."""
        where, values = query.where()
        select = "select reason, count(*), sum(reject) from audit"
        statement = f"{select} where kind = 'part' and {where} group by reason order by reason"
        try:
            found = self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise EdgeirfError(f"cannot read {self.path}: {error}") from None
        totals = {"parts": sum(row[1] for row in found), "rejects": sum(row[2] for row in found)}
        return {**totals, **{row[0]: row[1] for row in found}}

    def verify(self, key: bytes | None = None, head: str | None = None) -> Verification:
        """Checks every row, and the anchor beside the file where there is one.

        Raises:
            EdgeirfError: the file or its anchor cannot be read.
        """
        try:
            found = verify_rows(self._db, read_anchor(self.path), key, head)
            before = file_before(self._db)
        except sqlite3.Error as error:
            raise EdgeirfError(f"cannot read {self.path}: {error}") from None
        if found.problem is not None or before is None or not (self.path.parent / before.name).exists():
            return found
        if last_hash(History(self.path.parent / before.name)._db) != before.head:
            return replace(found, problem=f"it does not follow {before.name}: one of the two was replaced")
        return found


def write_csv(path: Path, rows: Iterator[AuditRow]) -> int:
    """Writes rows as CSV and returns their number; ``at`` is ISO 8601 in UTC.

    Raises:
        EdgeirfError: the file cannot be written.
    """
    count = 0
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for row in rows:
            table.writerow({**vars(row), "at": iso(row.at)})
            count += 1
    return count


def write_parquet(path: Path, rows: Iterator[AuditRow]) -> int:
    """Writes rows as a Parquet file and returns their number; a part id is text there.

    Raises:
        UsageError: pyarrow is not installed.
        EdgeirfError: the file cannot be written.
    """
    try:
        pyarrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError("--parquet needs pyarrow: pip install pyarrow, or write --csv") from None
    kinds = {"int": pyarrow.int64(), "float": pyarrow.float64()}
    schema = pyarrow.schema(
        (field.name, kinds.get(str(field.type).split(" ")[0], pyarrow.string()))
        for field in dataclasses.fields(AuditRow)
    )
    count = 0
    with replacing(path) as temporary, parquet.ParquetWriter(temporary, schema) as table:
        while batch := [{**vars(row), "part_id": _text(row.part_id)} for row in islice(rows, _BATCH)]:
            table.write_table(pyarrow.Table.from_pylist(batch, schema))
            count += len(batch)
    return count


def iso(seconds: float) -> str:
    """``2026-01-31T12:00:00.123Z``."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(part_id: int | str | None) -> str | None:
    return None if part_id is None else str(part_id)
