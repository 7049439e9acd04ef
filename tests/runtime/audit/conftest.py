"""Verdicts for an audit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgeirf.part import PartVerdict
from edgeirf.verdict import Region, Verdict


def verdict_of(number: int | str, reject: bool = False, score: float | None = 12.5, **more: object) -> PartVerdict:
    top = Verdict(reject, score, 0.25, 31.0, 20.0, (Region(1, 2, 3, 4, 10, 42.0),), model="m@0123", **more)  # type: ignore[arg-type]
    side = Verdict(False, 3.0, 0.75, 30.0, model="m@0123")
    return PartVerdict(number, reject, "inspected", {"top": top, "side": side}, None, 100.0, 100.1, 0.0, 5)


@pytest.fixture
def verdict() -> Callable[..., PartVerdict]:
    """``verdict(number, reject, score)``: on a part with two views, of which ``top`` decides."""
    return verdict_of
