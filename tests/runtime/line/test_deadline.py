"""The ledger of parts: one verdict for every accepted part in every order of events, and no pass after the deadline."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.part import Part, PartVerdict
from edgeirf.runtime.line.deadline import Parts
from edgeirf.verdict import Verdict

PASS = Verdict(reject=False, score=1.0, p_value=0.5, threshold=9.0)
REJECT = Verdict(reject=True, score=10.0, p_value=0.01, threshold=9.0)
ERROR = Verdict(reject=True, score=None, p_value=None, threshold=9.0, status="error", error="is cut short")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def parts(*views: str, room: int = 8) -> tuple[Parts, Clock]:
    clock = Clock()
    return Parts(views, clock, lambda: 1000.0 + clock.now, room), clock


def run(*events: tuple[Any, ...]) -> PartVerdict | None:
    """What part 7 with the views a and b gets; its deadline is 10."""
    ledger, clock = parts("a", "b")
    ticket = ledger.accept(Part(7, 0.0, 10.0))
    assert ticket == 1
    got: list[PartVerdict] = []
    for name, *arguments in events:
        if name == "at":
            (clock.now,) = arguments
            result: Any = ledger.due()
        elif name == "fault":
            result = ledger.fault("broken")
        else:
            result = getattr(ledger, name)(ticket, *arguments)
        got += result if isinstance(result, list) else [result] * (result is not None)
    assert len(got) <= 1
    return got[0] if got else None


@pytest.mark.parametrize(
    ("events", "reject", "reason", "detail"),
    [
        ([("scored", "a", PASS), ("at", 10.0), ("scored", "b", PASS)], False, "inspected", None),
        ([("scored", "a", REJECT), ("scored", "b", PASS)], True, "inspected", None),
        ([("scored", "a", ERROR), ("scored", "b", PASS)], True, "error", "a: is cut short"),
        ([("scored", "a", PASS), ("absent", "b", "stale", "too old")], True, "stale", "b: too old"),
        ([("at", 10.1)], True, "missing_view", "no frame of a, b before the deadline"),
        ([("scored", "a", PASS), ("at", 10.1)], True, "missing_view", "no frame of b before the deadline"),
        (
            [("scored", "a", PASS), ("captured", "b"), ("at", 10.1), ("scored", "b", PASS)],
            True,
            "late",
            "b: not scored before the deadline",
        ),
        ([("absent", "b", "stale", "too old"), ("at", 10.1)], True, "stale", "b: too old"),
        ([("stale", "b"), ("scored", "a", PASS), ("scored", "b", PASS)], False, "inspected", None),
        (
            [("stale", "b"), ("captured", "a"), ("at", 10.1)],
            True,
            "stale",
            "the only frame of b was taken before the trigger",
        ),
        ([("scored", "a", PASS), ("fault",), ("scored", "b", PASS)], True, "fault", "broken"),
    ],
)
def test_what_happens_decides_the_part(
    events: list[tuple[Any, ...]], reject: bool, reason: str, detail: str | None
) -> None:
    verdict = run(*events)
    assert verdict is not None
    assert (verdict.reject, verdict.reason, verdict.detail) == (reject, reason, detail)


def test_a_part_waits_while_a_view_is_due() -> None:
    assert run(("scored", "a", REJECT), ("captured", "b"), ("at", 9.9)) is None


def test_a_pass_that_comes_after_the_deadline_is_a_late_reject_even_where_nobody_looked_at_the_clock() -> None:
    ledger, clock = parts("a")
    ticket = ledger.accept(Part("x", 0.0, 10.0))
    assert ticket is not None
    clock.now = 10.5
    verdict = ledger.scored(ticket, "a", PASS)
    assert verdict is not None
    assert (verdict.reject, verdict.reason, verdict.late_ms) == (True, "late", 500.0)


def test_a_part_id_may_come_again_and_an_old_view_does_not_count_for_it() -> None:
    ledger, clock = parts("a")
    first = ledger.accept(Part(7, 0.0, 1.0))
    assert first is not None
    assert ledger.accept(Part(7, 0.5, 1.5)) is None
    clock.now = 2.0
    assert [verdict.reason for verdict in ledger.due()] == ["missing_view"]
    second = ledger.accept(Part(7, 2.0, 3.0))
    assert second is not None
    assert ledger.scored(first, "a", PASS) is None
    assert (ledger.ignored, ledger.refused, len(ledger)) == (1, 1, 1)
    assert ledger.is_open(second)


def test_without_room_a_part_is_refused_and_without_a_deadline_it_waits() -> None:
    ledger, clock = parts("a", room=1)
    assert ledger.accept(Part(1, 0.0)) is not None
    assert ledger.accept(Part(2, 0.0)) is None
    clock.now = 1e9
    assert ledger.due() == []
    assert ledger.next_deadline is None


def test_times_for_people_come_from_the_wall_clock() -> None:
    ledger, clock = parts("a")
    clock.now = 5.0
    ticket = ledger.accept(Part(1, 4.0, 6.0))
    assert ticket is not None
    assert ledger.next_deadline == 6.0
    clock.now = 5.5
    verdict = ledger.scored(ticket, "a", PASS)
    assert verdict is not None
    assert (verdict.triggered_at, verdict.decided_at, verdict.sequence) == (1004.0, 1005.5, 1)


NUMBERS = st.integers(0, 5)
EVENT = st.one_of(
    st.tuples(st.just("accept"), NUMBERS, st.one_of(st.none(), st.floats(0.0, 3.0))),
    st.tuples(st.just("captured"), NUMBERS, st.sampled_from("ab")),
    st.tuples(st.just("scored"), NUMBERS, st.sampled_from("ab"), st.sampled_from([PASS, PASS, REJECT, ERROR])),
    st.tuples(st.just("absent"), NUMBERS, st.sampled_from("ab")),
    st.tuples(st.just("time"), st.floats(0.0, 2.0)),
    st.tuples(st.just("due")),
    st.tuples(st.just("fault")),
)


class Model:
    """What must hold: the parts that are open, by ticket."""

    def __init__(self) -> None:
        self.ledger, self.clock = parts("a", "b", room=4)
        self.open: dict[int, tuple[int, float | None]] = {}
        self.verdicts: list[PartVerdict] = []

    def accept(self, number: int, wait: float | None) -> None:
        deadline = None if wait is None else self.clock.now + wait
        ticket = self.ledger.accept(Part(number, self.clock.now, deadline))
        if ticket is not None:
            self.open[ticket] = (number, deadline)

    def time(self, seconds: float) -> None:
        self.clock.now += seconds

    def due(self) -> None:
        self.keep(*self.ledger.due())
        assert all(deadline is None or deadline >= self.clock.now for _, deadline in self.open.values())

    def fault(self) -> None:
        self.keep(*self.ledger.fault("broken"))

    def captured(self, ticket: int, view: str) -> None:
        self.ledger.captured(ticket, view)

    def scored(self, ticket: int, view: str, verdict: Verdict) -> None:
        self.keep(self.ledger.scored(ticket, view, verdict))

    def absent(self, ticket: int, view: str) -> None:
        self.keep(self.ledger.absent(ticket, view, "missing_view", "gone"))

    def keep(self, *verdicts: PartVerdict | None) -> None:
        for verdict in verdicts:
            if verdict is None:
                continue
            ticket = next(ticket for ticket, (number, _) in self.open.items() if number == verdict.part_id)
            _, deadline = self.open.pop(ticket)
            passed = [not view.reject for view in verdict.views.values()] == [True, True]
            assert verdict.reject or (passed and verdict.reason == "inspected")
            assert verdict.reject or deadline is None or self.clock.now <= deadline
            self.verdicts.append(verdict)


@given(st.lists(EVENT, max_size=80))
def test_every_accepted_part_gets_one_verdict_in_every_order_and_no_late_one_passes(events: list[Any]) -> None:
    model = Model()
    for name, *arguments in events:
        getattr(model, name)(*arguments)
        assert len(model.ledger) == len(model.open)
    model.fault()
    assert [verdict.sequence for verdict in model.verdicts] == list(range(1, model.ledger.accepted + 1))
    assert len(model.ledger) == 0
