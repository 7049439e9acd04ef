"""``docs/fail_safe.md``: each promise names a test that exists, and the table of states is that of the code."""

from __future__ import annotations

import re
from pathlib import Path

from edgeirf.runtime.line.states import OPC_40100, TAKES_PARTS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "fail_safe.md").read_text()


def test_every_promise_names_a_test_that_exists() -> None:
    tables = [PAGE.partition(f"## {title}")[2].partition("\n## ")[0] for title in ("Promises", "Faults, and where")]
    rows = [row for table in tables for row in [row for row in table.splitlines() if row.startswith("| ")][1:]]
    assert len(rows) > 35
    for row in rows:
        found = re.search(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
        assert found, row
        assert f"def {found[2]}(" in (ROOT / found[1]).read_text(), found[0]


def test_the_states_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| ([A-Z]+) \| ([\w.]+) \| (accepted|refused) \|$", PAGE, re.MULTILINE)
    assert {state: name for state, name, _ in rows} == dict(OPC_40100)
    assert {state for state, _, answer in rows if answer == "accepted"} == TAKES_PARTS
