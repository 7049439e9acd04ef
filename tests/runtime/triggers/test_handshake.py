"""The handshake with a PLC, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.part import PartId, PartVerdict
from edgeirf.runtime.triggers.handshake import Handshake


@dataclass(frozen=True)
class Says:
    trigger: bool = False
    results_ack: bool = False
    acknowledge: bool = False
    part_id: int = 0
    heartbeat: int = 0


class Line:
    """Accepts parts while it is ready."""

    def __init__(self) -> None:
        self.ready = True
        self.parts: list[PartId | None] = []
        self.acknowledged: list[str] = []
        self.beats: list[int] = []
        self.reason = ""

    @property
    def state(self) -> Any:
        return "RUNNING" if self.ready else "FAULT"

    def announce(self, part_id: PartId | None, at: float) -> bool:
        if self.ready:
            self.parts.append(part_id)
        return self.ready

    def acknowledge(self, operator: str) -> bool:
        self.acknowledged.append(operator)
        return True

    def heard(self, count: int) -> None:
        self.beats.append(count)


def pair() -> tuple[Handshake, Line]:
    handshake, line = Handshake(), Line()
    handshake.control = line
    handshake.start(line.announce)
    return handshake, line


def verdict(part_id: PartId) -> PartVerdict:
    return PartVerdict(part_id=part_id, reject=False, reason="inspected")


def test_one_part_from_trigger_to_results_ack() -> None:
    handshake, line = pair()
    assert handshake.snapshot().ready
    handshake.inputs(Says(trigger=True, part_id=7))
    shown = handshake.snapshot()
    assert (shown.ready, shown.trigger_ack, shown.part_id, shown.busy, shown.valid) == (False, True, 7, True, False)
    handshake.inputs(Says(part_id=7))
    shown = handshake.snapshot()
    assert (shown.ready, shown.trigger_ack, shown.part_id) == (True, False, 7)
    handshake.complete(verdict(7))
    shown = handshake.snapshot()
    assert (shown.busy, shown.completed, shown.valid, shown.result) == (False, True, True, verdict(7))
    handshake.inputs(Says(results_ack=True))
    assert not handshake.snapshot().valid
    handshake.inputs(Says())
    assert handshake.snapshot().completed
    assert line.parts == [7]


def test_a_held_trigger_announces_one_part() -> None:
    handshake, line = pair()
    for _ in range(3):
        handshake.inputs(Says(trigger=True, part_id=7))
    assert line.parts == [7]


def test_a_trigger_while_the_line_is_not_ready_is_counted_and_not_acknowledged() -> None:
    handshake, line = pair()
    line.ready = False
    assert not handshake.snapshot().ready
    handshake.inputs(Says(trigger=True, part_id=7))
    shown = handshake.snapshot()
    assert (shown.trigger_ack, shown.busy, shown.refused) == (False, False, 1)


def test_a_result_stays_until_it_is_acknowledged_and_the_next_one_waits() -> None:
    handshake, _ = pair()
    for part_id in (1, 2):
        handshake.inputs(Says(trigger=True, part_id=part_id))
        handshake.inputs(Says())
    handshake.complete(verdict(1))
    handshake.complete(verdict(2))
    assert handshake.snapshot().result == verdict(1)
    handshake.inputs(Says(results_ack=True))
    assert (handshake.snapshot().valid, handshake.snapshot().result) == (False, verdict(1))
    handshake.inputs(Says())
    shown = handshake.snapshot()
    assert (shown.valid, shown.completed, shown.result) == (True, False, verdict(2))


def test_without_an_id_the_line_counts() -> None:
    handshake, line = pair()
    for _ in range(2):
        handshake.inputs(Says(trigger=True))
        handshake.inputs(Says())
    assert line.parts == [1, 2]
    assert handshake.snapshot().part_id == 2


def test_an_operator_acknowledges_at_the_plc_and_the_heartbeat_is_passed_on() -> None:
    handshake, line = pair()
    for beat in (1, 2):
        handshake.inputs(Says(acknowledge=True, heartbeat=beat))
    assert (line.acknowledged, line.beats) == (["PLC"], [1, 2])


def test_nothing_is_accepted_before_the_start_and_after_the_stop() -> None:
    handshake, line = pair()
    handshake.stop()
    handshake.inputs(Says(trigger=True))
    assert (line.parts, handshake.snapshot().refused, handshake.snapshot().ready) == ([], 1, False)


STEP = st.sampled_from(["trigger", "release", "ack", "unack", "complete", "ready", "not ready"])


@pytest.mark.parametrize("seed", [0])
@given(steps=st.lists(STEP, max_size=60))
def test_every_accepted_part_is_shown_once_and_in_order(seed: int, steps: list[str]) -> None:
    handshake, line = pair()
    trigger = ack = False
    read: list[PartId] = []
    done = 0
    before = handshake.snapshot()
    for step in [*steps, *["release", "complete", "ack", "unack"] * 60]:
        trigger = {"trigger": True, "release": False}.get(step, trigger)
        ack = {"ack": True, "unack": False}.get(step, ack)
        line.ready = {"ready": True, "not ready": False}.get(step, line.ready)
        if step == "complete" and done < len(line.parts):
            part_id = line.parts[done]
            assert part_id is not None
            done += 1
            handshake.complete(verdict(part_id))
        handshake.inputs(Says(trigger=trigger, results_ack=ack))
        shown = handshake.snapshot()
        if shown.completed != before.completed:
            assert shown.result is not None
            read.append(shown.result.part_id)
        if before.valid and shown.valid:
            assert shown.result == before.result
        before = shown
    assert read == line.parts
