"""One output on its thread: late passes become rejects, records stay as they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from benchmarks.line_fakes import FakeOutput
from edgeirf.part import Part, PartVerdict
from edgeirf.runtime.line.output_thread import Due, OutputThread

PASS = PartVerdict(part_id=1, reject=False, reason="inspected")
REJECT = PartVerdict(part_id=2, reject=True, reason="inspected")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


class Bench:
    """An output, its thread and a clock that stands."""

    def __init__(self, durable: bool = False, room: int = 256) -> None:
        self.output, self.clock = FakeOutput("plc", durable), Clock()
        self.reports: list[str | None] = []
        self.broken: list[str] = []
        self.thread = OutputThread(
            self.output, self.reports.append, self.broken.append, room=room, clock=self.clock, heartbeat_s=1e9
        )

    def end(self) -> None:
        self.thread.close()
        assert self.thread.join(20)


@pytest.mark.parametrize(
    ("durable", "late", "state", "reject", "reason", "turned"),
    [
        (False, False, "RUNNING", False, "inspected", 0),
        (False, True, "RUNNING", True, "late", 1),
        (False, False, "FAULT", True, "fault", 1),
        (True, True, "RUNNING", False, "inspected", 0),
        (True, False, "FAULT", False, "inspected", 0),
    ],
)
def test_a_pass_that_an_output_would_take_late_becomes_a_reject(
    durable: bool, late: bool, state: str, reject: bool, reason: str, turned: int
) -> None:
    bench = Bench(durable)
    bench.thread.state(state, "")  # type: ignore[arg-type]
    bench.thread.give(Due(PASS, deadline=99.0 if late else 101.0))
    bench.thread.give(Due(REJECT, deadline=99.0))
    bench.thread.start()
    until(lambda: len(bench.output.verdicts) == 2)
    bench.end()
    first, second = bench.output.verdicts
    assert (first.part_id, first.reject, first.reason) == (1, reject, reason)
    assert second == REJECT
    assert bench.thread.counters.turned == turned


def test_while_an_output_is_away_signals_are_lost_and_counted_and_none_comes_late() -> None:
    bench = Bench()
    bench.output.dead = True
    bench.thread.start()
    until(lambda: bench.reports)
    assert bench.reports == ["plc: does not answer: check the cable"]
    bench.thread.give(Due(PASS))
    until(lambda: bench.thread.counters.lost == 1)
    bench.output.dead = False
    bench.clock.now += 60
    until(lambda: None in bench.reports)
    bench.thread.give(Due(REJECT))
    until(lambda: bench.output.verdicts == [REJECT])
    bench.end()


def test_a_queue_that_is_full_loses_the_oldest_verdict_and_says_so() -> None:
    bench = Bench(room=2)
    for _ in range(3):
        bench.thread.give(Due(REJECT))
    assert bench.reports == ["it does not keep up: 1 verdicts are lost to it"]
    bench.thread.start()
    until(lambda: bench.reports[-1] is None and bench.thread.counters.delivered == 2)
    bench.end()


def test_fault_puts_the_output_in_its_safe_state_at_once_and_a_library_error_is_a_fault() -> None:
    bench = Bench()
    bench.thread.start()
    bench.thread.state("FAULT", "broken")
    until(lambda: bench.output.safes == 1)
    bench.output.fault = RuntimeError("planted")
    bench.thread.give(Due(REJECT))
    until(lambda: bench.broken)
    assert bench.broken == ["output plc: RuntimeError: planted"]
    bench.end()
    assert bench.output.is_safe
    assert bench.output.closed >= 1


def test_records_that_gather_while_the_disk_is_slow_are_taken_together_and_in_order() -> None:
    class Disk(FakeOutput):
        def __init__(self) -> None:
            super().__init__("disk", durable=True)
            self.calls: list[int] = []
            self.free = threading.Event()

        def act_all(self, verdicts: Sequence[PartVerdict]) -> None:
            self.calls.append(len(verdicts))
            self.free.wait(20)
            self.verdicts += verdicts

    disk = Disk()
    thread = OutputThread(disk, lambda reason: None, lambda reason: None, heartbeat_s=1e9)
    thread.start()
    thread.give(Due(PASS))
    until(lambda: disk.calls == [1])
    thread.give(Part(7, 12.0))  # is for signals
    for number in range(100):
        thread.give(Due(PartVerdict(number, True, "late")))
    disk.free.set()
    thread.close()
    assert thread.join(20)
    assert disk.calls == [1, 100]
    assert [verdict.part_id for verdict in disk.verdicts] == [1, *range(100)]
    assert (thread.counters.delivered, thread.counters.lost) == (101, 0)


def test_a_peer_that_is_away_behind_a_spool_is_said_and_so_is_its_return() -> None:
    bench = Bench(durable=True)
    bench.output.problem, bench.output.waiting = "mes: does not answer", 3
    bench.thread.start()
    until(lambda: "mes: does not answer; 3 records wait on disk" in bench.reports)
    bench.output.problem = None
    bench.clock.now += 2e9  # the next heartbeat is due
    bench.thread.state("RUNNING", "")  # wakes it: this clock stands
    until(lambda: bench.reports[-1] is None)
    bench.end()


def test_an_output_that_hangs_is_left_behind_and_what_it_never_got_is_counted() -> None:
    bench = Bench()
    free = threading.Event()
    bench.output.act = lambda verdict: free.wait(20) and None  # type: ignore[method-assign]
    bench.thread.start()
    bench.thread.give(Due(REJECT))
    until(lambda: not bench.thread._due)
    bench.thread.give(Due(PASS))
    bench.thread.give(Due(REJECT))
    bench.thread.close()
    assert not bench.thread.join(0.1)
    assert bench.thread.counters.lost == 2
    free.set()
    assert bench.thread.join(20)
