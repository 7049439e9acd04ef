"""A line that suddenly rejects everything says so once."""

from __future__ import annotations

import pytest

from edgeirf.runtime.line.stretch import STRETCH, Stretch
from edgeirf.verdict import Verdict

GOOD, BAD, LOST = "+", "-", "x"


def said(parts: str) -> list[int]:
    """At which parts a line is said."""
    stretch = Stretch()
    verdicts = (Verdict(part != GOOD, 1.0, 0.5, 2.0, status="error" if part == LOST else "ok") for part in parts)
    return [index for index, verdict in enumerate(verdicts) if stretch.add(verdict, 0.0)]


@pytest.mark.parametrize(
    ("parts", "at"),
    [
        (GOOD * 30 + BAD * 100, [29 + STRETCH]),
        (GOOD * 30 + LOST * 100, [29 + STRETCH]),
        (GOOD * 30 + BAD * (STRETCH - 1) + GOOD, []),
        (BAD * 200, []),  # it never passed: nothing changed
        (GOOD * 9 + BAD * 100, []),
        ((GOOD + BAD) * 50 + BAD * 100, []),  # half was rejected before
        (GOOD * 60 + BAD * 30 + GOOD * 60 + BAD * 30, [59 + STRETCH, 149 + STRETCH]),
    ],
)
def test_every_part_is_rejected_after_most_passed(parts: str, at: list[int]) -> None:
    assert said(parts) == at


def test_the_line_names_the_time_and_what_to_check() -> None:
    stretch = Stretch()
    for _ in range(20):
        stretch.add(Verdict(False, 1.0, 0.5, 2.0), 0.0)
    lines = [line for _ in range(STRETCH) for line in stretch.add(Verdict(True, 3.0, 0.0, 2.0), 1_700_000_000.0)]
    assert len(lines) == 1
    assert "camera, the light, the frame size and the product" in lines[0]
