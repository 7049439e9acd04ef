"""One row a part, whatever happens to the process and the disk."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeirf import __version__
from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.audit.history import History, Query
from edgeirf.runtime.audit.model import Model
from edgeirf.runtime.audit.row import AuditRow
from edgeirf.runtime.audit.store import Audit

Make = Callable[..., PartVerdict]


def rows(path: Path) -> list[AuditRow]:
    return list(History(path).rows(Query()))


def test_a_row_holds_all_that_the_verdict_says(tmp_path: Path, verdict: Make) -> None:
    model = Model("ab" * 32, "int8", "tensorrt", "sm87-10.3")
    audit = Audit(tmp_path / "a.db", {"top": model})
    audit.write(verdict(7, True))
    audit.action("anna", "acknowledged")
    audit.close()
    start, part, action = rows(tmp_path / "a.db")
    assert (start.kind, part.kind, action.kind) == ("start", "part", "action")
    assert (part.part_id, part.reject, part.reason, part.sequence) == (7, 1, "inspected", 5)
    assert (part.view, part.score, part.p_value, part.threshold) == ("top", 12.5, 0.25, 31.0)
    assert (part.model, part.model_sha256, part.precision) == ("m@0123", "ab" * 32, "int8")
    assert (part.device, part.engine, part.software) == ("tensorrt", "sm87-10.3", __version__)
    assert (part.triggered_at, part.decided_at) == (100.0, 100.1)
    assert json.loads(part.views or "")["side"]["score"] == 3.0
    assert (action.operator, action.detail, action.part_id) == ("anna", "acknowledged", None)
    assert 0 < start.at <= part.at <= action.at


def test_another_device_that_takes_over_is_in_every_row_from_then_on(tmp_path: Path, verdict: Make) -> None:
    audit = Audit(tmp_path / "a.db")
    audit.inspects("top", Model("ab" * 32, "int8", "tensorrt", "sm87"))
    audit.write(verdict(1))
    audit.inspects("top", Model("ab" * 32, "fp32", "cpu"))
    audit.write(verdict(2))
    assert audit.verify().problem is None
    audit.close()
    found = [(row.kind, row.view, row.device, row.precision, row.engine) for row in rows(tmp_path / "a.db")[1:]]
    assert found == [
        ("model", "top", "tensorrt", "int8", "sm87"),
        ("part", "top", "tensorrt", "int8", "sm87"),
        ("model", "top", "cpu", "fp32", ""),
        ("part", "top", "cpu", "fp32", ""),
    ]


@pytest.mark.parametrize("part_id", [7, "7", "part \u00e4", "a\0b", -1, 2**63 - 1, 2**80, ""])
def test_a_part_id_comes_back(tmp_path: Path, verdict: Make, part_id: int | str) -> None:
    audit = Audit(tmp_path / "a.db")
    audit.write(verdict(part_id))
    assert audit.verify().problem is None
    audit.close()
    found = rows(tmp_path / "a.db")[1].part_id
    assert found == (str(part_id) if part_id == 2**80 else part_id)
    assert type(found) is (str if part_id == 2**80 else type(part_id))


@pytest.mark.parametrize("score", [None, float("nan"), float("inf"), 1e-300, -0.0])
def test_a_part_without_views_or_with_any_score_has_a_row(tmp_path: Path, verdict: Make, score: float | None) -> None:
    audit = Audit(tmp_path / "a.db")
    audit.write(verdict(1, True, score))
    audit.write(PartVerdict(2, True, "missing_view", detail="no picture \udce9", triggered_at=1, late_ms=-0.0))
    assert audit.verify().problem is None
    assert audit.verify().rows == 3
    audit.close()


def test_runs_one_after_another_share_one_file(tmp_path: Path, verdict: Make) -> None:
    for number in range(3):
        audit = Audit(tmp_path / "a.db")
        audit.write(verdict(number))
        assert audit.close() == rows(tmp_path / "a.db")[-1].hash
    found = History(tmp_path / "a.db").verify()
    assert (found.rows, found.problem, found.anchored) == (6, None, 6)


def test_threads_and_two_writers_at_once_lose_nothing(tmp_path: Path, verdict: Make) -> None:
    audits = [Audit(tmp_path / "a.db", sync="normal") for _ in range(2)]

    def work(audit: Audit, first: int) -> None:
        for number in range(first, first + 25):
            audit.write(verdict(number))

    threads = [threading.Thread(target=work, args=(audits[i % 2], 100 * i)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = audits[0].verify()
    assert (found.rows, found.problem) == (102, None)
    for audit in audits:
        audit.close()


WRITER = """
import sys
from edgeirf.part import PartVerdict
from edgeirf.runtime.audit.store import Audit
audit = Audit(sys.argv[1])
number = int(sys.argv[2])
while True:
    audit.write(PartVerdict(part_id=number, reject=False, reason="inspected"))
    print(number, flush=True)
    number += 1
"""


def test_kill_9_loses_no_row_that_was_written(tmp_path: Path) -> None:
    path, accepted = tmp_path / "a.db", list[int]()
    for life in range(3):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(1000 * life)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        accepted += [int(process.stdout.readline()) for _ in range(20 + 9 * life)]
        os.kill(process.pid, signal.SIGKILL)
        accepted += [int(line) for line in process.stdout if line.endswith(b"\n")]
        process.wait()
    history = History(path)
    assert history.verify().problem is None
    found = [row.part_id for row in history.rows(Query()) if row.kind == "part"]
    assert len(found) == len(set(found))
    assert set(accepted) <= set(found)


FULL = """
import resource, sys
from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.audit.store import Audit
audit = Audit(sys.argv[1], sync="normal")
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
written = 0
try:
    for number in range(10_000):
        audit.write(PartVerdict(part_id=number, reject=False, reason="inspected", detail="x" * 500))
        written += 1
except OutputError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
audit.write(PartVerdict(part_id="after", reject=True, reason="fault"))
print(written, audit.verify().rows, audit.verify().problem)
"""


def test_a_full_disk_is_an_error_and_the_audit_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """A limit on the size of files is to SQLite what a full disk is."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "a.db")], capture_output=True, text=True, check=True
    )
    said, result = done.stdout.splitlines()
    assert "does not take a row" in said
    assert "free the disk" in said
    written, kept, problem = result.split(" ", 2)
    assert 0 < int(written) < 10_000
    assert (int(kept), problem) == (int(written) + 2, "None")  # the start, and the one afterwards


def test_a_file_that_is_no_audit_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database, " * 100)
    for path in (tmp_path / "a.db", tmp_path, tmp_path / "a.db" / "below"):
        with pytest.raises(OutputError, match="cannot open the audit") as error:
            Audit(path)
        assert "\n" not in str(error.value)


def test_the_head_is_that_of_the_last_row_and_close_never_raises(tmp_path: Path, verdict: Make) -> None:
    audit = Audit(tmp_path / "a.db")
    before = audit.head
    audit.write(verdict(1))
    assert before != audit.head == rows(tmp_path / "a.db")[-1].hash
    assert audit.close() == rows(tmp_path / "a.db")[-1].hash
    assert audit.close() == ""
    with pytest.raises(OutputError, match="does not take a row"):
        audit.write(verdict(2))


def test_the_head_is_returned_where_the_anchor_cannot_be_written(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "a.db")
    (tmp_path / "a.db.head").mkdir()
    assert len(audit.close()) == 64


def test_readers_read_while_a_run_writes(tmp_path: Path, verdict: Make) -> None:
    audit = Audit(tmp_path / "a.db")
    reader = sqlite3.connect(f"file:{tmp_path / 'a.db'}?mode=ro", uri=True)
    reader.execute("begin")
    assert reader.execute("select count(*) from audit").fetchone() == (1,)
    audit.write(verdict(1))
    reader.rollback()
    assert reader.execute("select count(*) from audit").fetchone() == (2,)
    reader.close()
    audit.close()
