"""When the pulse fires: a table, and rules for every order of events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.runtime.outputs.pulses import Fire, Pulses

PASS, REJECT = False, True


@pytest.mark.parametrize(
    ("fire", "verdicts", "fires"),
    [
        ("unless_passed", [], True),
        ("unless_passed", [REJECT], True),
        ("unless_passed", [PASS], False),
        ("unless_passed", [PASS, REJECT], True),
        ("unless_passed", [REJECT, PASS], True),
        ("if_passed", [], False),
        ("if_passed", [REJECT], False),
        ("if_passed", [PASS], True),
        ("if_passed", [REJECT, PASS], False),
    ],
)
def test_the_rule_for_one_part(fire: Fire, verdicts: list[bool], fires: bool) -> None:
    pulses = Pulses(fire, delay=100)
    assert pulses.expect(7, 1000)
    for reject in verdicts:
        assert pulses.decide(7, reject)
    assert pulses.next() == 1100
    assert pulses.advance(1099.9) == []
    assert [(due.part_id, due.at, due.fires) for due in pulses.advance(1100)] == [(7, 1100, fires)]
    assert pulses.advance(2000) == []
    assert pulses.next() is None


@pytest.mark.parametrize("fire", ["unless_passed", "if_passed"])
def test_a_verdict_that_is_too_late_changes_nothing_and_is_counted(fire: Fire) -> None:
    pulses = Pulses(fire, delay=10)
    pulses.expect(1, 0)
    pulses.advance(10)
    assert not pulses.decide(1, PASS)
    assert not pulses.decide("unknown", PASS)
    assert pulses.too_late == 2
    pulses.expect(1, 20)  # the same number once more: the late pass of before is not its pass
    assert [due.fires for due in pulses.advance(30)] == [fire == "unless_passed"]


def test_parts_fire_in_the_order_of_their_places_also_when_one_step_covers_several() -> None:
    pulses = Pulses("unless_passed", delay=100)
    for part, place in ((3, 30), (1, 10), (2, 20)):
        pulses.expect(part, place)
    pulses.decide(2, PASS)
    assert [(due.part_id, due.fires) for due in pulses.advance(1000)] == [(1, True), (2, False), (3, True)]


def test_a_part_twice_or_one_too_many_is_refused() -> None:
    pulses = Pulses("unless_passed", delay=100, capacity=2)
    assert pulses.expect(1, 0)
    assert not pulses.expect(1, 5)
    assert pulses.expect(2, 5)
    assert not pulses.expect(3, 6)
    assert pulses.next() == 100


events = st.lists(st.tuples(st.sampled_from(["expect", "pass", "reject", "advance"]), st.integers(0, 5)), max_size=40)


@given(fire=st.sampled_from(["unless_passed", "if_passed"]), delay=st.integers(0, 5), steps=events)
def test_a_part_passes_only_with_a_pass_in_time_and_is_due_once(
    fire: Fire, delay: int, steps: list[tuple[str, int]]
) -> None:
    pulses, position = Pulses(fire, delay), 0
    waiting: dict[int, list[bool]] = {}
    for step, value in steps:
        if step == "expect" and pulses.expect(value, position):
            assert value not in waiting
            waiting[value] = []
        elif step in ("pass", "reject"):
            assert pulses.decide(value, step == "reject") == (value in waiting)
            waiting.get(value, []).append(step == "reject")
        elif step == "advance":
            position += value
            for due in pulses.advance(position):
                verdicts = waiting.pop(due.part_id)  # type: ignore[arg-type]
                good = verdicts != [] and not any(verdicts)
                assert due.fires == (good if fire == "if_passed" else not good)
                assert due.at <= position
    assert all(pulses.waits_for(part) for part in waiting)
