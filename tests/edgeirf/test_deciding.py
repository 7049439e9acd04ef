"""Which view of a part decides."""

from __future__ import annotations

import pytest

from edgeirf.deciding import deciding_view
from edgeirf.part import PartVerdict
from edgeirf.verdict import Verdict


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ({}, None),
        ({"top": 0.5}, "top"),
        ({"top": 0.5, "side": 0.1}, "side"),
        ({"top": 0.01, "side": None}, "side"),  # not inspected is worse than any score
        ({"top": 0.1, "side": 0.1}, "top"),
    ],
)
def test_the_least_normal_view_decides(p_values: dict[str, float | None], expected: str | None) -> None:
    views = {name: Verdict(False, value and 1.0, value, 31.0) for name, value in p_values.items()}
    assert deciding_view(PartVerdict(1, False, "inspected", views)) == expected
