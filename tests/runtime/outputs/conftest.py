"""Verdicts for peers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgeirf.part import PartVerdict
from edgeirf.verdict import Region, Verdict


def verdict_of(number: int, reject: bool = False, score: float = 12.5) -> PartVerdict:
    view = Verdict(reject, score, 0.25, 31.0, 20.0, (Region(1, 2, 3, 4, 10, 42.0),), frame_id=number, model="m@0123")
    return PartVerdict(part_id=number, reject=reject, reason="inspected", views={"top": view}, sequence=number)


@pytest.fixture
def verdict() -> Callable[..., PartVerdict]:
    """``verdict(number, reject, score)``: a verdict on the part of that number."""
    return verdict_of
