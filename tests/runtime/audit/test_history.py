"""Queries and tables."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.part import PartVerdict
from edgeirf.runtime.audit.history import History, Query, iso, write_csv, write_parquet
from edgeirf.runtime.audit.row import COLUMNS
from edgeirf.runtime.audit.store import Audit


@pytest.fixture
def history(tmp_path: Path, verdict: Callable[..., PartVerdict], monkeypatch: pytest.MonkeyPatch) -> History:
    """A start at 0 s, parts 1 to 5 at 10 to 50 s (3 and "4" rejected), an action at 60 s."""
    from edgeirf.runtime.audit import store

    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(store.time, "time", lambda: float(next(clock)))
    audit = Audit(tmp_path / "a.db")
    for number in (1, 2, 3, "4", 5):
        audit.write(verdict(number, str(number) in "34"))
    audit.action("anna", "=cleaned, the lens")
    audit.close()
    return History(tmp_path / "a.db")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), [None, 1, 2, 3, "4", 5, None]),
        (Query(rejects=True), [3, "4"]),
        (Query(part="4"), ["4"]),
        (Query(part="1"), [1]),
        (Query(part="' or 1 --"), []),
        (Query(since=20.0, until=40.0), [2, 3]),
        (Query(since=20.0, rejects=True, until=39.0), [3]),
        (Query(since=1000.0), []),
    ],
)
def test_a_query_finds_its_rows_in_order(history: History, query: Query, found: list[object]) -> None:
    assert [row.part_id for row in history.rows(query)] == found


def test_only_the_newest_rows(history: History) -> None:
    assert [row.row for row in history.rows(Query(), last=2)] == [6, 7]
    assert [row.part_id for row in history.rows(Query(rejects=True), last=1)] == ["4"]


def test_counts(history: History) -> None:
    assert history.counts(Query()) == {"parts": 5, "rejects": 2, "inspected": 5}
    assert history.counts(Query(since=1000.0)) == {"parts": 0, "rejects": 0}


def test_csv_holds_every_column_and_row(history: History, tmp_path: Path) -> None:
    assert write_csv(tmp_path / "a.csv", history.rows(Query())) == 7
    with (tmp_path / "a.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert tuple(found[0]) == COLUMNS
    assert [row["part_id"] for row in found] == ["", "1", "2", "3", "4", "5", ""]
    assert found[1]["at"] == iso(10.0) == "1970-01-01T00:00:10.000Z"
    assert found[6]["detail"] == "=cleaned, the lens"


@pytest.mark.parametrize("batch", [3, 10_000])
def test_parquet_keeps_types(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr("edgeirf.runtime.audit.history._BATCH", batch)
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    assert write_parquet(tmp_path / "a.parquet", history.rows(Query())) == 7
    table = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert tuple(table[0]) == COLUMNS
    assert [row["part_id"] for row in table] == [None, "1", "2", "3", "4", "5", None]
    assert (table[1]["score"], table[3]["reject"], table[1]["at"]) == (12.5, 1, 10.0)


def test_parquet_without_its_library_is_one_line(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="--parquet needs pyarrow: pip install pyarrow"):
        write_parquet(tmp_path / "a.parquet", history.rows(Query()))


def test_no_audit_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all\n" * 50)
    for name, said in (("none.db", "no such file"), ("text", "is no audit"), ("", "no such file")):
        with pytest.raises(EdgeirfError, match=said) as error:
            History(tmp_path / name)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "none.db").exists()
