"""The audit: one sealed row a part in a SQLite file."""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.audit.anchor import anchor_path, write_anchor
from edgeirf.runtime.audit.model import Model
from edgeirf.runtime.audit.row import COLUMNS, FIRST, FOLLOWS, SCHEMA, AuditRow, part_row, sealed
from edgeirf.runtime.audit.verify import Verification, verify_rows

_INSERT = f"insert into audit ({', '.join(COLUMNS)}) values ({', '.join('?' * len(COLUMNS))})"  # noqa: S608


_LOOK_EVERY = 128
"""Rows between two looks at the size of the file."""
log = logging.getLogger("edgeirf")


class Audit:
    """Keeps one row for each part, action and start. Each row has the hash of the row before it.

    :meth:`write` returns when the row is in the file. With ``sync="full"`` it is on the disk and survives a power cut;
    with ``"normal"`` it survives the end of the process, and a power cut may take the last rows.
    Several threads may write, and other processes may read and write meanwhile.

    >>> audit = Audit("audit.db")
    >>> audit.write(PartVerdict(part_id=7, reject=True, reason="late"))
    >>> audit.action("anna", "acknowledged the fault")
    >>> audit.verify().problem is None
    True
    >>> len(audit.close())
    64

    Args:
        path: the file; rows are added to what it holds.
        models: what inspects each view.
        sync: see above.
        key: signs the anchor; None: it is not signed.
        anchor_s: the anchor is written when so many seconds are over, and by :meth:`close`: rows of a run that is
            killed are then covered up to that moment.
        limit_mb: MB (millions of bytes) after which the file is put aside under a name with the time, and a new one
            goes on where it ended; None: never.

    Raises:
        OutputError: the file cannot be opened, or is no audit.
    """

    def __init__(
        self,
        path: str | Path,
        models: Mapping[str, Model] | None = None,
        *,
        sync: Literal["full", "normal"] = "full",
        key: bytes | None = None,
        anchor_s: float = math.inf,
        limit_mb: int | None = None,
    ) -> None:
        self.path, self._models, self._key, self._sync = Path(path), dict(models or {}), key, sync
        self._anchor_s, self._anchored_at = anchor_s, time.monotonic()
        self._limit = math.inf if limit_mb is None else limit_mb * 10**6
        self._lock = threading.Lock()
        self._between = False
        self._db = self._open()
        self._append(lambda row, at, previous: sealed(AuditRow(row=row, kind="start", at=at, previous=previous)))

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self.path, isolation_level=None, timeout=5, check_same_thread=False)
            db.execute("pragma journal_mode = wal")
            db.execute(f"pragma synchronous = {self._sync}")
            db.execute(f"create table if not exists audit ({SCHEMA})")
            db.execute("create index if not exists audit_at on audit (at)")
            db.execute("create index if not exists audit_part on audit (part_id)")
            return db
        except (sqlite3.Error, OSError) as error:
            raise OutputError(
                f"cannot open the audit {self.path}: {error}: free the disk or name another file"
            ) from None

    def write(self, verdict: PartVerdict) -> None:
        """Adds the row of a part.

        Raises:
            OutputError: it is not kept (the disk is full): the part must count as a reject and the line is in FAULT.
        """
        self._append(lambda row, at, previous: part_row(verdict, self._models, row, at, previous))

    def inspects(self, view: str, model: Model) -> None:
        """Adds the row of what inspects a view from now on: at the start, and when another device takes over.

        Raises:
            OutputError: it is not kept.
        """
        self._models[view] = model
        self._append(
            lambda row, at, previous: sealed(
                AuditRow(
                    row=row,
                    kind="model",
                    at=at,
                    view=view,
                    model_sha256=model.sha256,
                    precision=model.precision,
                    device=model.device,
                    engine=model.engine,
                    previous=previous,
                )
            )
        )

    def action(self, operator: str, text: str) -> None:
        """Adds the row of what an operator did.

        Raises:
            OutputError: it is not kept.
        """
        self._append(
            lambda row, at, previous: sealed(
                AuditRow(row=row, kind="action", at=at, operator=operator, detail=text, previous=previous)
            )
        )

    @property
    def head(self) -> str:
        """Hash of the last row: who keeps it elsewhere can show later that no row before it was changed."""
        with self._lock:
            return self._last()[1]

    def verify(self) -> Verification:
        """Checks every row of the file."""
        with self._lock:
            return verify_rows(self._db)

    def close(self) -> str:
        """Closes the file, writes the anchor ``FILE.head`` if it can, and returns the head. Never raises."""
        with self._lock:
            try:
                rows, head = self._last()
            except sqlite3.Error:
                return ""
            self._db.close()
            self._anchor(rows, head)
            return head

    def _last(self) -> tuple[int, str]:
        """Number and hash of the last row."""
        found = self._db.execute("select row, hash from audit order by row desc limit 1").fetchone()
        return (0, FIRST) if found is None else (int(found[0]), str(found[1]))

    def _append(self, make: Callable[[int, float, str], AuditRow]) -> None:
        with self._lock:
            self._insert(make)
            rows, head = self._last()
            if rows % _LOOK_EVERY == 0 and self._size() > self._limit:
                self._put_aside(rows, head)
            elif time.monotonic() - self._anchored_at >= self._anchor_s:
                self._anchor(rows, head)

    def _insert(self, make: Callable[[int, float, str], AuditRow]) -> None:
        try:
            if self._between:  # the disk was full when a new file was begun
                self._reopen()
            self._db.execute("begin immediate")  # no other process adds a row between the two statements
            rows, head = self._last()
            made = make(rows + 1, time.time(), head)
            self._db.execute(_INSERT, [getattr(made, name) for name in COLUMNS])
            self._db.execute("commit")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._db.execute("rollback")
            raise OutputError(
                f"the audit {self.path} does not take a row ({error}): free the disk, then acknowledge the fault"
            ) from None

    def _anchor(self, rows: int, head: str) -> None:
        self._anchored_at = time.monotonic()
        with suppress(OutputError):
            write_anchor(self.path, rows, head, self._key)

    def _size(self) -> int:
        pages, size = (self._db.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return int(pages) * int(size)

    def _put_aside(self, rows: int, head: str) -> None:
        """Starts a new file whose first row has the hash of the last row of the old one."""
        aside = self.path.with_name(f"{self.path.stem}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.db")
        self._db.close()
        self._between = True
        moved = not aside.exists() and self._is_alone() and self._renamed(aside, rows, head)
        self._reopen()
        if moved:
            detail = f"{FOLLOWS}{aside.name}"
            self._insert(
                lambda row, at, previous: sealed(AuditRow(row=row, kind="start", at=at, detail=detail, previous=head))
            )

    def _reopen(self) -> None:
        self._db = self._open()
        self._between = False

    def _is_alone(self) -> bool:
        """Whether nobody else has the file open: SQLite then removes its log. It is put aside at a later look."""
        return not Path(f"{self.path}-wal").exists()

    def _renamed(self, aside: Path, rows: int, head: str) -> bool:
        self._anchor(rows, head)
        try:
            self.path.rename(aside)
            anchor_path(self.path).rename(anchor_path(aside))
        except OSError as error:
            log.warning("the audit %s is beyond its limit and cannot be put aside: %s", self.path, error.strerror)
        return aside.exists()
