"""Which frame belongs to which part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.runtime.line.views import Match, View
from edgeirf.runtime.sources.frame import Frame


def at(moment: float, number: int = 0) -> Frame:
    return Frame(None, number, "camera", clock=moment)


def play(live: bool, staleness: float, *events: tuple[str, float]) -> list[tuple[int, float | None]]:
    """Parts (``t``: triggered at) and frames (``f``: taken at) in order of arrival; tickets count from 1."""
    view = View("top", live, lambda ticket: True, staleness)
    matches: list[Match] = []
    tickets = 0
    for kind, moment in events:
        if kind == "t":
            tickets += 1
            matches += view.want(tickets, moment)
        else:
            matches += view.frame(at(moment))
    return [(match.ticket, match.frame.clock if match.frame else None) for match in matches]


@pytest.mark.parametrize(
    ("live", "staleness", "events", "expected"),
    [
        (True, 0.0, [("t", 1.0), ("f", 1.1)], [(1, 1.1)]),
        (True, 0.0, [("t", 1.0), ("f", 0.9), ("f", 1.1)], [(1, 1.1)]),  # taken before the trigger: not this part
        (True, 0.2, [("t", 1.0), ("f", 0.9)], [(1, 0.9)]),
        (True, 0.2, [("f", 0.9), ("t", 1.0)], [(1, 0.9)]),
        (True, 0.0, [("f", 0.9), ("t", 1.0), ("f", 1.2)], [(1, 1.2)]),
        (True, 0.0, [("f", 1.05), ("t", 1.0)], [(1, 1.05)]),  # the trigger came late to us
        (True, 0.0, [("t", 1.0), ("t", 2.0), ("f", 2.1)], [(1, None), (2, 2.1)]),  # never a later part's frame
        (True, 0.0, [("t", 1.0), ("t", 2.0), ("f", 1.1), ("f", 2.1)], [(1, 1.1), (2, 2.1)]),
        (True, 5.0, [("t", 1.0), ("t", 2.0), ("f", 1.1)], [(1, 1.1)]),  # staleness does not give it to the second
        (False, 0.0, [("f", 9.0), ("t", 1.0), ("t", 2.0), ("f", 0.5)], [(1, 9.0), (2, 0.5)]),
        (False, 0.0, [("t", 1.0), ("t", 2.0), ("f", 9.0), ("f", 9.1)], [(1, 9.0), (2, 9.1)]),
    ],
)
def test_frames_find_their_parts(
    live: bool, staleness: float, events: list[tuple[str, float]], expected: list[tuple[int, float | None]]
) -> None:
    assert play(live, staleness, *events) == expected


def test_a_frame_that_no_part_takes_is_counted_when_a_newer_one_comes() -> None:
    view = View("top", True, lambda ticket: True)
    for moment in (1.0, 2.0, 3.0):
        assert view.frame(at(moment)) == []
    assert view.dropped == 2
    assert view.want(1, 5.0) == []
    assert (view.dropped, view.stale) == (3, 1)


def test_a_part_that_is_decided_takes_no_frame() -> None:
    view = View("top", True, lambda ticket: ticket != 1)
    view.want(1, 1.0)
    view.want(2, 2.0)
    assert [match.ticket for match in view.frame(at(2.5))] == [2]


@given(st.lists(st.tuples(st.sampled_from("tf"), st.floats(0, 0.1), st.floats(0, 1))), st.floats(0, 0.5))
def test_no_part_gets_two_frames_and_none_a_frame_from_long_before_or_after_the_next_trigger(
    events: list[tuple[str, float, float]], staleness: float
) -> None:
    now, triggers, played = 0.0, [], []
    for kind, wait, _ in events:
        now += wait
        played.append((kind, now))
        if kind == "t":
            triggers.append(now)
    matches = play(True, staleness, *played)
    assert len({ticket for ticket, _ in matches}) == len(matches)
    for ticket, taken in matches:
        if taken is not None:
            assert taken >= triggers[ticket - 1] - staleness
            assert not any(triggers[ticket - 1] < later < taken for later in triggers[ticket:])
