"""A queue on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeirf.errors import OutputError
from edgeirf.runtime.sinks.spool import Spool


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.sampled_from(["append", "remove", "reopen"]), max_size=25))
def test_it_is_a_queue_whatever_happens(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    path = str(tmp_path_factory.mktemp("spool") / "s")
    spool, expected, keys, count = Spool(path), [], [], 0
    for step in steps:
        if step == "append":
            keys += spool.append(f"record {count}")
            expected.append((keys[-1], f"record {count}"))
            count += 1
        elif step == "remove" and expected:
            first = spool.first()
            assert first is not None
            assert (first.key, first.body) == expected.pop(0)
            spool.remove(first)
        elif step == "reopen":
            spool.close()
            spool = Spool(path)
        assert len(spool) == len(expected)
    spool.close()
    assert len(set(keys)) == len(keys)  # also of records that are gone


def test_a_full_spool_says_so_keeps_what_it_has_and_takes_more_when_there_is_room(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "s"), quota_mb=1)
    taken = 0
    with pytest.raises(OutputError, match=r"records wait, it may have 1 MB: .* raise spool_mb") as error:  # noqa: PT012
        for taken in range(10_000):  # noqa: B007
            spool.append("x" * 20_000)
    assert "\n" not in str(error.value)
    assert len(spool) == taken > 20
    assert (tmp_path / "s").stat().st_size <= 1_000_000
    for _ in range(5):
        first = spool.first()
        assert first is not None
        spool.remove(first)
    spool.append("y" * 20_000)
    assert len(spool) == taken - 4
    spool.close()


def test_one_process_uses_a_spool(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "s"))
    with pytest.raises(OutputError, match="another run uses the spool"):
        Spool(str(tmp_path / "s"))
    spool.close()
    Spool(str(tmp_path / "s")).close()


def test_a_file_that_is_no_spool_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"not a database" * 100)
    with pytest.raises(OutputError, match="cannot open the spool"):
        Spool(str(tmp_path / "s"))
    with pytest.raises(OutputError, match="cannot open the spool"):
        Spool(str(tmp_path / "s" / "below"))
