"""``edgeirf history`` as a user meets it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from typer.testing import CliRunner, Result

from edgeirf.cli import app
from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.part import PartVerdict
from edgeirf.runtime.audit.model import Model
from edgeirf.runtime.audit.store import Audit
from edgeirf.verdict import Verdict


def history(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["history", *map(str, arguments)])


def part(number: int, reject: bool) -> PartVerdict:
    view = Verdict(reject, 12.5, 0.25, 31.0, frame_id=number, captured_at=1000.0 + number, model="m@0123")
    return PartVerdict(number, reject, "inspected", {"top": view})


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    kept = Audit(tmp_path / "audit.db", key=b"plant")
    kept.inspects("top", Model("ab" * 32, "int8", "cpu"))
    for number in range(4):
        kept.write(part(number, number == 2))
    kept.write(PartVerdict(9, True, "late", detail="after 210 ms"))
    kept.action("anna", "acknowledged the fault")
    kept.close()
    return tmp_path / "audit.db"


def test_it_shows_the_newest_rows_and_the_sum(audit: Path) -> None:
    lines = history(audit).stdout.splitlines()
    assert len(lines) == 9
    assert lines[0].split("  ")[1] == "start"
    assert lines[1].endswith("model   top: int8 on cpu, bundle abababababab")
    assert lines[4].split("  ", 1)[1] == "REJECT  part 2  inspected  top: 12.5 / 31, p = 0.2500  m@0123"
    assert lines[6].endswith("REJECT  part 9  late    after 210 ms")
    assert lines[7].endswith("action  anna acknowledged the fault")
    assert lines[8] == "5 parts, 2 rejects (4 inspected, 1 late)"
    assert len(history(audit, "--last", 2).stdout.splitlines()) == 3
    assert history(audit, "--rejects").stdout.count("REJECT") == 2
    assert "1 parts" in history(audit, "--part", 2).stdout
    assert "0 parts, 0 rejects (no part)" in history(audit, "--since", "2999-01-01").stdout


def test_csv_and_verify_in_one_call(audit: Path, tmp_path: Path) -> None:
    done = history(audit, "--csv", tmp_path / "a.csv", "--verify")
    assert done.exit_code == 0
    assert f"wrote 8 rows to {tmp_path / 'a.csv'}" in done.stdout
    assert "8 rows, none changed or removed; the anchor covers 8 of them; head " in done.stdout
    head = done.stdout.split("head ")[1].strip()
    (tmp_path / "key").write_text("plant\n")
    assert history(audit, "--verify", "--head", head, "--key", tmp_path / "key").exit_code == 0


def test_a_changed_row_is_an_error(audit: Path) -> None:
    with sqlite3.connect(audit) as db:
        db.execute("update audit set reject = 0 where part_id = 2")
    db.close()
    done = history(audit, "--verify")
    assert done.exit_code == 1
    assert isinstance(done.exception, EdgeirfError)
    assert "is not as it was written: row 5 was changed" in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "'yesterday' is no time: write 2026-01-31"),
        (["--head", "0" * 64], "add --verify"),
        (["--reinspect", "b.irf"], "belong together"),
        (["--verify", "--key", "none"], "cannot read the key none"),
    ],
)
def test_wrong_uses_are_one_line(audit: Path, arguments: list[str], said: str) -> None:
    done = history(audit, *arguments)
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)


def test_times_are_utc_unless_they_say_otherwise() -> None:
    from edgeirf.cli.history import moment

    assert moment("1970-01-02") == 86400
    assert moment("1970-01-01T01:00:00Z") == 3600 == moment("1970-01-01T02:00+01:00")
    assert moment(None) is None


def test_reinspect_shows_what_would_change(
    audit: Path, tmp_path: Path, tiny_path: Path, good: Callable[..., Any], bad: Callable[..., Any]
) -> None:
    (tmp_path / "rejects").mkdir()
    for number, frame in ((0, good(1)), (1, bad(1)), (2, good(2))):
        cv2.imwrite(str(tmp_path / "rejects" / f"19700101T0016{40 + number}000Z_00000{number}.png"), frame)
    done = history(audit, "--reinspect", tiny_path, "--pictures", tmp_path / "rejects", "--device", "cpu")
    assert done.exit_code == 0, done.exception
    lines = done.stdout.splitlines()
    assert lines[0].startswith("tiny@")
    assert [line.split("  ")[:2] for line in lines[1:3]] == [["REJECT", "part 1"], ["pass", ""]]
    assert lines[-1] == (
        "3 pictures inspected: 1 rejects would pass, 1 passes would be rejected; 1 views have no picture"
    )
