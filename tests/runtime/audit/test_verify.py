"""What somebody did to an audit shows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path
from time import gmtime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeirf.errors import EdgeirfError
from edgeirf.part import PartVerdict
from edgeirf.runtime.audit import store
from edgeirf.runtime.audit.anchor import anchor_path
from edgeirf.runtime.audit.history import History, Query
from edgeirf.runtime.audit.row import COLUMNS, FIRST, AuditRow, sealed
from edgeirf.runtime.audit.store import Audit

KEY = b"a key of the plant"
Make = Callable[..., PartVerdict]


def written(path: Path, verdict: Make, key: bytes | None = None) -> str:
    """Six rows: a start and five parts; returns the head."""
    audit = Audit(path, sync="normal", key=key)
    for number in range(5):
        audit.write(verdict(number, number == 3))
    return audit.close()


def change(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("update audit set reject = 0 where row = 5", "row 5 was changed"),
        ("update audit set score = 1.0 where row = 3", "row 3 was changed"),
        ("update audit set part_id = '2' where row = 4", "row 4 was changed"),
        ("update audit set hash = previous where row = 2", "row 2 was changed"),
        ("update audit set detail = x'00' where row = 2", "row 2 was changed"),
        ("delete from audit where row = 3", "row 3 is missing"),
        ("delete from audit where row = 1", "row 1 is missing"),
        ("delete from audit where row > 4", "the last 2 rows are missing: the anchor has 6, the audit 4"),
        ("delete from audit", "the last 6 rows are missing"),
        ("update audit set row = 7 where row = 3", "row 3 is missing"),
    ],
)
def test_a_removed_or_changed_row_shows(tmp_path: Path, verdict: Make, statement: str, problem: str) -> None:
    written(tmp_path / "a.db", verdict)
    assert History(tmp_path / "a.db").verify().problem is None
    change(tmp_path / "a.db", statement)
    found = History(tmp_path / "a.db").verify().problem
    assert found is not None
    assert problem in found


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> list[AuditRow]:
    path = tmp_path_factory.mktemp("audit") / "a.db"
    audit = Audit(path)
    for number in range(4):
        audit.write(PartVerdict(number, False, "inspected", detail="x"))
    audit.close()
    return list(History(path).rows(Query()))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_change_of_any_value_shows(sound: list[AuditRow], data: st.DataObject) -> None:
    row = data.draw(st.sampled_from(sound))
    column = data.draw(st.sampled_from([name for name in COLUMNS if name not in ("row", "hash")]))
    value = data.draw(st.none() | st.integers(0, 9) | st.floats(0, 9) | st.text("ab", max_size=3))
    before = getattr(row, column)
    changed = AuditRow(**{**vars(row), column: value})
    same = (type(before), before) == (type(value), value)
    assert (changed.digest() == row.hash) == same


def recompute(path: Path, statement: str) -> None:
    """What somebody with the program can do: change a row, and seal all rows anew."""
    change(path, statement)
    with sqlite3.connect(path) as db:
        previous = FIRST
        for values in db.execute(f"select {', '.join(COLUMNS)} from audit order by row").fetchall():
            row = AuditRow(**{**dict(zip(COLUMNS, values, strict=True)), "previous": previous})
            previous = sealed(row).hash
            db.execute("update audit set previous = ?, hash = ? where row = ?", (row.previous, previous, row.row))
    db.close()


def test_an_audit_that_was_computed_anew_shows_against_its_anchor_or_a_head_that_was_kept(
    tmp_path: Path, verdict: Make
) -> None:
    path = tmp_path / "a.db"
    head = written(path, verdict)
    assert History(path).verify(head=head).problem is None
    recompute(path, "update audit set reject = 0 where row = 5")
    assert "computed anew" in (History(path).verify().problem or "")
    anchor_path(path).unlink()
    assert History(path).verify().problem is None  # nothing is left that could show it
    assert "no row has the head" in (History(path).verify(head=head).problem or "")


def test_a_head_of_an_earlier_day_is_still_met(tmp_path: Path, verdict: Make) -> None:
    head = written(tmp_path / "a.db", verdict)
    written(tmp_path / "a.db", verdict)
    assert History(tmp_path / "a.db").verify(head=head).problem is None


def test_a_signed_anchor_cannot_be_replaced_without_the_key(tmp_path: Path, verdict: Make) -> None:
    path = tmp_path / "a.db"
    written(path, verdict, KEY)
    assert History(path).verify(KEY).problem is None
    assert History(path).verify(b"another key").problem == "the anchor is not signed with this key"
    anchor = json.loads(anchor_path(path).read_text())
    anchor_path(path).write_text(json.dumps({**anchor, "rows": 4, "head": "0" * 64}))
    assert History(path).verify(KEY).problem is not None
    anchor_path(path).unlink()
    assert "no anchor" in (History(path).verify(KEY).problem or "")


def test_an_unsigned_anchor_does_not_pass_for_a_signed_one(tmp_path: Path, verdict: Make) -> None:
    written(tmp_path / "a.db", verdict)
    assert History(tmp_path / "a.db").verify(KEY).problem == "the anchor is not signed with this key"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"rows": "x", "head": "", "at": 0, "signature": ""}'])
def test_a_damaged_anchor_is_one_line(tmp_path: Path, verdict: Make, text: str) -> None:
    written(tmp_path / "a.db", verdict)
    anchor_path(tmp_path / "a.db").write_text(text)
    with pytest.raises(EdgeirfError, match="is no anchor of an audit"):
        History(tmp_path / "a.db").verify()


def put_aside(folder: Path, verdict: Make, monkeypatch: pytest.MonkeyPatch, parts: int = 12) -> list[Path]:
    """An audit in several files, the oldest first."""
    monkeypatch.setattr(store, "_LOOK_EVERY", 5)
    seconds = count(1_000_000_000)
    monkeypatch.setattr(store.time, "gmtime", lambda: gmtime(next(seconds)))
    audit = Audit(folder / "a.db", limit_mb=0)
    for number in range(parts):
        audit.write(verdict(number))
    audit.close()
    return [*sorted(folder.glob("a-*.db")), folder / "a.db"]


def test_a_file_that_is_full_is_put_aside_and_the_next_one_follows_it(
    tmp_path: Path, verdict: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = put_aside(tmp_path, verdict, monkeypatch)
    assert len(files) == 4
    assert [row.part_id for file in files for row in History(file).rows(Query()) if row.kind == "part"] == [*range(12)]
    found = [History(file).verify() for file in files]
    assert [one.problem for one in found] == [None] * 4
    assert [one.follows for one in found] == ["", *(file.name for file in files[:-1])]
    assert [one.anchored for one in found[:-1]] == [5, 5, 5]
    recompute(files[1], "update audit set reject = 1 where row = 3")
    anchor_path(files[1]).unlink()
    assert History(files[2]).verify().problem == f"it does not follow {files[1].name}: one of the two was replaced"


def test_a_file_that_somebody_reads_is_put_aside_later(
    tmp_path: Path, verdict: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    Audit(tmp_path / "a.db").close()
    reader = History(tmp_path / "a.db")
    rows = reader.rows(Query())
    next(rows)
    assert len(put_aside(tmp_path, verdict, monkeypatch)) == 1
    reader._db.close()
    audit = Audit(tmp_path / "a.db", limit_mb=0)
    for number in range(5):
        audit.write(verdict(number))
    assert list(tmp_path.glob("a-*.db"))
    assert audit.verify().problem is None
    audit.close()


def test_the_anchor_covers_a_run_that_is_killed(tmp_path: Path, verdict: Make) -> None:
    audit = Audit(tmp_path / "a.db", key=KEY, anchor_s=0.0)
    audit.write(verdict(1))
    found = History(tmp_path / "a.db").verify(KEY)
    assert (found.problem, found.anchored) == (None, 2)
    audit.close()
