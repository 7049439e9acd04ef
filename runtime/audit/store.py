"""The audit: one sealed row a part in a SQLite file."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.audit.anchor import write_anchor
from edgeirf.runtime.audit.model import Model
from edgeirf.runtime.audit.row import COLUMNS, FIRST, SCHEMA, AuditRow, part_row, sealed
from edgeirf.runtime.audit.verify import Verification, verify_rows

_INSERT = f"insert into audit ({', '.join(COLUMNS)}) values ({', '.join('?' * len(COLUMNS))})"  # noqa: S608


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
        key: signs the anchor that :meth:`close` writes; None: the anchor is not signed.

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
    ) -> None:
        self.path, self._models, self._key = Path(path), dict(models or {}), key
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, isolation_level=None, timeout=5, check_same_thread=False)
            self._db.execute("pragma journal_mode = wal")
            self._db.execute(f"pragma synchronous = {sync}")
            self._db.execute(f"create table if not exists audit ({SCHEMA})")
            self._db.execute("create index if not exists audit_at on audit (at)")
            self._db.execute("create index if not exists audit_part on audit (part_id)")
        except (sqlite3.Error, OSError) as error:
            raise OutputError(f"cannot open the audit {path}: {error}: free the disk or name another file") from None
        self._append(lambda row, at, previous: sealed(AuditRow(row=row, kind="start", at=at, previous=previous)))

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
            with suppress(OutputError):
                write_anchor(self.path, rows, head, self._key)
            return head

    def _last(self) -> tuple[int, str]:
        """Number and hash of the last row."""
        found = self._db.execute("select row, hash from audit order by row desc limit 1").fetchone()
        return (0, FIRST) if found is None else (int(found[0]), str(found[1]))

    def _append(self, make: Callable[[int, float, str], AuditRow]) -> None:
        with self._lock:
            try:
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
