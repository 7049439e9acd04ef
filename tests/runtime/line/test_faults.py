"""500 parts with random faults: the promises of ``docs/fail_safe.md`` hold together."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import faults


@pytest.mark.parametrize("seed", [1])
def test_500_parts_with_random_faults_get_one_verdict_each(seed: int, tmp_path: Path) -> None:
    result = faults.Trial(seed, tmp_path).run(500)
    assert faults.broken(result) == []
    assert result["parts"] >= 500
    assert {*faults.FAULTS} <= {*result["faults"]}
    assert result["states"]["FAULT"] > 3
    assert {"late", "missing_view", "stale", "fault"} <= {*result["rejects"]}


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        ({"verdicts": 9}, "one verdict for every part"),
        ({"decided_twice": 1}, "one verdict for every part"),
        ({"late_without_reject": 1}, "none late without a reject"),
        ({"audit_rows": 9}, "every part in the audit"),
        ({"chain_valid": False}, "the rows of the audit are linked"),
        ({"spooled_lost": 1}, "nothing spooled is lost or sent twice"),
        ({"spooled_twice": 1}, "nothing spooled is lost or sent twice"),
    ],
)
def test_a_broken_promise_is_seen(change: dict[str, object], promise: str) -> None:
    kept = {"parts": 10, "verdicts": 10, "decided_twice": 0, "late_without_reject": 0, "audit_rows": 10}
    result = {**kept, "chain_valid": True, "spooled_lost": 0, "spooled_twice": 0}
    assert faults.broken(result) == []
    assert faults.broken({**result, **change}) == [promise]
