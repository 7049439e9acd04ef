"""Records wait on disk while the peer is away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs import spooled
from edgeirf.runtime.outputs.durable import DurableOutput
from edgeirf.runtime.outputs.output import State
from edgeirf.runtime.outputs.spooled import Spooled
from edgeirf.runtime.sinks.spool import Spool

Make = Callable[..., PartVerdict]
Until = Callable[[Callable[[], bool]], None]


class Peer(DurableOutput):
    """A peer that is there or not, and that may fail after it took a record."""

    def __init__(self, there: bool = True) -> None:
        super().__init__("peer")
        self.there, self.break_after_taking = there, False
        self.got: list[tuple[str, int | str]] = []
        self.signals: list[object] = []
        self.opened = 0
        self.gate = threading.Event()
        self.gate.set()

    def open(self) -> None:
        if not self.there:
            raise OutputError("peer: away")
        self.opened += 1

    def deliver(self, verdict: PartVerdict, key: str) -> None:
        self.gate.wait(20)
        if not self.there:
            raise OutputError("peer: away")
        self.got.append((key, verdict.part_id))
        if self.break_after_taking:
            self.break_after_taking = False
            raise ZeroDivisionError("no answer")

    def state(self, state: State, reason: str) -> None:
        self.signals.append(state)

    def beat(self, count: int) -> None:
        self.signals.append(count)

    def safe(self) -> None:
        self.signals.append("safe")

    def parts(self) -> list[int | str]:
        return [part for _, part in self.got]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(spooled, "LONGEST_WAIT_S", 0.05)


def test_records_wait_for_a_peer_that_is_away_and_come_in_order(tmp_path: Path, verdict: Make, until: Until) -> None:
    peer = Peer(there=False)
    output = Spooled(peer, str(tmp_path / "s"))
    output.open()
    assert output.problem == "peer: away"
    for number in range(30):
        output.act(verdict(number))
    assert output.waiting == 30
    peer.there = True
    until(lambda: output.waiting == 0)
    assert peer.parts() == list(range(30))
    until(lambda: output.problem is None)
    output.close()


def test_what_is_not_sent_is_sent_by_the_next_run(tmp_path: Path, verdict: Make, until: Until) -> None:
    output = Spooled(Peer(there=False), str(tmp_path / "s"))
    output.open()
    output.act(verdict(1))
    output.close()
    peer = Peer()
    output = Spooled(peer, str(tmp_path / "s"))
    output.open()
    output.act(verdict(2))
    until(lambda: output.waiting == 0)
    output.close()
    assert peer.parts() == [1, 2]


def test_an_answer_that_is_lost_sends_the_same_key_again(tmp_path: Path, verdict: Make, until: Until) -> None:
    peer = Peer()
    output = Spooled(peer, str(tmp_path / "s"))
    output.open()
    peer.break_after_taking = True
    output.act(verdict(1))
    until(lambda: output.waiting == 0)
    output.close()
    assert peer.parts() == [1, 1]
    assert len({key for key, _ in peer.got}) == 1


def test_a_disk_that_takes_no_removal_holds_nothing_back_and_sends_nothing_twice(
    tmp_path: Path, verdict: Make, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, remove = [True], Spool.remove

    def failing(self: Spool, record: object) -> None:
        if full:
            raise OutputError("cannot remove a sent record: disk full")
        remove(self, record)  # type: ignore[arg-type]

    monkeypatch.setattr(Spool, "remove", failing)
    peer = Peer()
    output = Spooled(peer, str(tmp_path / "s"))
    output.open()
    for number in range(4):
        output.act(verdict(number))
    until(lambda: len(peer.got) == 4 and output.waiting == 0)
    assert "disk full" in (output.problem or "")
    full.clear()
    output.act(verdict(4))
    until(lambda: output.problem is None)
    output.close()
    assert peer.parts() == [0, 1, 2, 3, 4]
    left = Spool(str(tmp_path / "s"))
    assert len(left) == 0
    left.close()


def test_a_slow_peer_does_not_hold_the_line(tmp_path: Path, verdict: Make) -> None:
    peer = Peer()
    peer.gate.clear()
    output = Spooled(peer, str(tmp_path / "s"))
    output.open()
    for number in range(5):
        output.act(verdict(number))
    assert peer.got == []  # act returned, the peer took nothing
    peer.gate.set()
    output.close()
    assert peer.parts() == list(range(5))


def test_the_newest_state_and_beat_reach_the_peer(tmp_path: Path, until: Until) -> None:
    peer = Peer(there=False)
    output = Spooled(peer, str(tmp_path / "s"))
    output.open()
    for count in range(3):
        output.state("READY" if count < 2 else "RUNNING", "")
        output.beat(count)
    peer.there = True
    until(lambda: len(peer.signals) >= 2)
    assert peer.signals[:2] == ["RUNNING", 2]
    output.safe()
    output.close()
    assert peer.signals[-1] == "safe"


def test_an_exception_of_a_library_is_a_problem_and_not_the_end(tmp_path: Path, verdict: Make, until: Until) -> None:
    peer = Peer()
    peer.break_after_taking = True
    output = Spooled(peer, str(tmp_path / "s"))
    output.open()
    output.act(verdict(1))
    until(lambda: output.waiting == 0)
    assert peer.opened >= 2
    output.close()


def test_a_verdict_before_open_and_after_close_is_an_error(tmp_path: Path, verdict: Make) -> None:
    output = Spooled(Peer(), str(tmp_path / "s"))
    with pytest.raises(OutputError, match="not open"):
        output.act(verdict(1))
    output.open()
    output.close()
    with pytest.raises(OutputError, match="not open"):
        output.act(verdict(1))


KILLED = """
import sys
from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.factory import open_output
output = open_output("log", {"kind": "jsonl", "path": sys.argv[1], "spool": sys.argv[2]})
output.open()
number = int(sys.argv[3])
while True:
    output.act(PartVerdict(part_id=number, reject=False, reason="inspected"))
    print(number, flush=True)
    number += 1
"""


def test_nothing_is_lost_or_twice_after_kill_9(tmp_path: Path) -> None:
    """Killed four times while it writes and sends: every part that was accepted is in the file, once and in order."""
    log, spool, next_part = tmp_path / "v.jsonl", tmp_path / "s", 0
    accepted: list[int] = []
    for life in range(4):
        command = [sys.executable, "-c", KILLED, str(log), str(spool), str(next_part)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        accepted += [int(process.stdout.readline()) for _ in range(10 + 7 * life)]
        time.sleep(0.01 * life)
        os.kill(process.pid, signal.SIGKILL)
        accepted += [int(line) for line in process.stdout if line.endswith(b"\n")]
        process.wait()
        next_part = accepted[-1] + 2  # the one that was written while it was killed may be there or not
    output = Spooled(open_jsonl(log), str(spool))
    output.open()
    output.close()
    found = [json.loads(line)["part_id"] for line in log.read_text().splitlines()]
    assert found == sorted(set(found))
    assert set(accepted) <= set(found)


def open_jsonl(path: Path) -> DurableOutput:
    from edgeirf.runtime.outputs.jsonl import Jsonl, JsonlSettings

    return Jsonl("log", JsonlSettings(path=str(path)))
