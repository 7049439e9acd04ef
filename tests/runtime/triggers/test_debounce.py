"""Edges: the first one counts at once, bounce of both directions does not."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.runtime.triggers.debounce import Debounce, Edge

CASES = {
    "one clean part": ([(0, 1), (50, 0)], [0]),
    "bounce on closing": ([(0, 1), (1, 0), (2, 1), (3, 0), (4, 1), (80, 0)], [0]),
    "bounce on opening": ([(0, 1), (50, 0), (51, 1), (52, 0), (54, 1), (55, 0)], [0]),
    "two parts": ([(0, 1), (20, 0), (40, 1), (60, 0)], [0, 40]),
    "a gap shorter than the quiet time is one part": ([(0, 1), (20, 0), (23, 1), (60, 0)], [0]),
    "the line was active at the start": ([(0, 0), (30, 1)], [30]),
    "exactly the quiet time": ([(0, 1), (10, 0), (15, 1)], [0, 15]),
}


@pytest.mark.parametrize(("edges", "parts"), CASES.values(), ids=CASES)
def test_which_edges_are_parts(edges: list[tuple[int, int]], parts: list[int]) -> None:
    debounce = Debounce(quiet=5)
    assert [at for at, active in edges if debounce.accepts(Edge(bool(active), at))] == parts


@given(st.lists(st.tuples(st.floats(0, 0.05), st.booleans()), max_size=60), st.floats(0, 0.02))
def test_parts_are_active_edges_at_least_the_quiet_time_apart(steps: list[tuple[float, bool]], quiet: float) -> None:
    debounce, now, parts = Debounce(quiet), 100.0, []
    for step, active in steps:
        now += step
        if debounce.accepts(Edge(active, now)):
            assert active
            parts.append(now)
    assert all(later - earlier >= quiet for earlier, later in itertools.pairwise(parts))
