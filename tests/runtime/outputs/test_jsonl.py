"""JSON lines of parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.jsonl import Jsonl, JsonlSettings

Make = Callable[..., PartVerdict]


def opened(path: Path) -> Jsonl:
    output = Jsonl("log", JsonlSettings(path=str(path)))
    output.open()
    return output


def test_each_verdict_is_one_line(tmp_path: Path, verdict: Make) -> None:
    output = opened(tmp_path / "v.jsonl")
    for number in range(3):
        output.act(verdict(number))
    output.safe()
    output.close()
    lines = (tmp_path / "v.jsonl").read_text().splitlines()
    assert [json.loads(line)["part_id"] for line in lines] == [0, 1, 2]


def test_a_record_that_the_file_ends_with_is_not_written_again(tmp_path: Path, verdict: Make) -> None:
    output = opened(tmp_path / "v.jsonl")
    output.deliver(verdict(1), "s-1")
    output.close()
    output = opened(tmp_path / "v.jsonl")
    output.deliver(verdict(1), "s-1")
    output.deliver(verdict(2), "s-2")
    output.deliver(verdict(2), "s-2")
    output.close()
    assert len((tmp_path / "v.jsonl").read_text().splitlines()) == 2


def test_a_file_of_somebody_else_is_added_to(tmp_path: Path, verdict: Make) -> None:
    (tmp_path / "v.jsonl").write_text("not json\n[1]\n")
    output = opened(tmp_path / "v.jsonl")
    output.act(verdict(1))
    output.close()
    assert len((tmp_path / "v.jsonl").read_text().splitlines()) == 3


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path, verdict: Make) -> None:
    with pytest.raises(OutputError, match="log: cannot write"):
        opened(tmp_path)
    with pytest.raises(OutputError, match="not open"):
        Jsonl("log", JsonlSettings(path="x")).act(verdict(1))
    if Path("/dev/full").exists():
        with pytest.raises(OutputError, match="log: cannot write /dev/full: No space left on device"):
            opened(Path("/dev/full")).act(verdict(1))


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    first = opened(tmp_path / "v.jsonl")
    with pytest.raises(OutputError, match="another run writes"):
        opened(tmp_path / "v.jsonl")
    first.close()
