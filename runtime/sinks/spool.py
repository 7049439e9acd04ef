"""Records that wait on disk until a peer takes them."""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import uuid4

from edgeirf.errors import OutputError

_FIRST = "select row, body from waiting where row > ? order by row limit 1"
_PAGE = 4096
_WAL_PAGES = 64
"""Pages after which SQLite moves its log into the database: the log stays small, also on a small disk."""


@dataclass(frozen=True)
class Waiting:
    """A record that waits.

    >>> Waiting(row=1, key="1f-1", body="{}").key
    '1f-1'

    Attributes:
        row: position in the spool.
        key: names this record among those of all spools; it is the same after a restart.
        body: the record.
    """

    row: int
    key: str
    body: str


class Spool:
    """A first-in first-out queue in a SQLite file. One process at a time uses a file; two threads may.

    :meth:`append` returns when the record is on the disk (write-ahead log, synced): it survives the end of the process
    and of the power. :meth:`remove` is not synced: after a power cut a record that the peer took may wait again, under
    the key that it had.

    >>> spool = Spool("mqtt.spool")
    >>> keys = spool.append("first")
    >>> spool.first().body, len(spool)
    ('first', 1)
    >>> spool.remove(spool.first())
    >>> spool.close()

    Args:
        path: the file; created when it does not exist.
        quota_mb: largest size of the database in MB.

    Raises:
        OutputError: the file cannot be opened, or another process uses it.
    """

    def __init__(self, path: str, quota_mb: int = 64) -> None:
        self.path, self.quota_mb = path, quota_mb
        self._lock = threading.Lock()
        self._held = self._hold(path)
        try:
            # Appends wait for the disk, removals need not: a connection each.
            self._in, self._out = self._connect("full"), self._connect("normal")
            self._in.execute("create table if not exists waiting (row integer primary key autoincrement, body text)")
            self._in.execute("create table if not exists spool (id text)")
            self._in.execute("insert into spool select ? where not exists (select 1 from spool)", (uuid4().hex[:12],))
            self.id: str = self._in.execute("select id from spool").fetchone()[0]
            self._count: int = self._in.execute("select count(*) from waiting").fetchone()[0]
        except sqlite3.Error as error:
            self._held.close()
            raise OutputError(f"cannot open the spool {path}: {error}: free the disk or name another file") from None

    def __len__(self) -> int:
        return self._count

    def append(self, *bodies: str) -> list[str]:
        """Adds records and returns their keys; all of them wait for the disk once.

        Raises:
            OutputError: the quota or the disk is full: none of them is kept.
        """
        try:
            self._in.execute("begin")
            rows = [self._in.execute("insert into waiting (body) values (?)", (body,)).lastrowid for body in bodies]
            self._in.execute("commit")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._in.execute("rollback")
            raise OutputError(
                f"the spool {self.path} does not take a record ({error}): {len(self)} records wait, it may have "
                f"{self.quota_mb} MB: connect the peer, free the disk or raise spool_mb"
            ) from None
        with self._lock:
            self._count += len(rows)
        return [f"{self.id}-{row}" for row in rows]

    def first(self, after: int = 0) -> Waiting | None:
        """The oldest record, of those behind the row ``after``; None when there is none.

        Raises:
            OutputError: the file cannot be read.
        """
        try:
            found = self._out.execute(_FIRST, (after,)).fetchone()
        except sqlite3.Error as error:
            raise OutputError(f"cannot read the spool {self.path}: {error}") from None
        return None if found is None else Waiting(found[0], f"{self.id}-{found[0]}", found[1])

    def remove(self, record: Waiting) -> None:
        """Removes a record that the peer has.

        Raises:
            OutputError: the disk does not take it; the record still waits.
        """
        try:
            removed = self._out.execute("delete from waiting where row = ?", (record.row,)).rowcount
        except sqlite3.Error as error:
            raise OutputError(f"cannot remove a sent record from the spool {self.path}: {error}") from None
        with self._lock:
            self._count -= removed

    def close(self) -> None:
        """Closes the file; what waits stays in it."""
        self._in.close()
        self._out.close()
        self._held.close()

    def _connect(self, synchronous: str) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=5, check_same_thread=False)
        connection.execute(f"pragma page_size = {_PAGE}")
        connection.execute("pragma journal_mode = wal")
        connection.execute(f"pragma synchronous = {synchronous}")
        connection.execute(f"pragma wal_autocheckpoint = {_WAL_PAGES}")
        connection.execute(f"pragma max_page_count = {self.quota_mb * 1_000_000 // _PAGE}")
        return connection

    @staticmethod
    def _hold(path: str) -> IO[bytes]:
        """Locks a file beside the database: SQLite's own locks are held for moments only."""
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            held = open(f"{path}.lock", "wb")  # noqa: SIM115
        except OSError as error:
            raise OutputError(f"cannot open the spool {path}: {error.strerror or error}") from None
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            held.close()
            raise OutputError(f"another run uses the spool {path}: name another file, or end that run") from None
        return held
