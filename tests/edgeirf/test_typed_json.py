from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from edgeirf.typed_json import from_json


@dataclass(frozen=True)
class Box:
    name: str
    sides: tuple[int, ...]
    kind: Literal["a", "b"] = "a"
    weight: float | None = None


def test_a_value_that_fits_becomes_the_type() -> None:
    assert from_json(Box, {"name": "x", "sides": [1, 2], "weight": 3}, "box") == Box("x", (1, 2), weight=3.0)
    assert from_json(dict[str, Box], {}, "boxes") == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"sides": []}, "box lacks 'name'"),
        ({"name": "x", "sides": [1.0]}, r"box\.sides\[0\] is"),
        ({"name": "x", "sides": [True]}, r"box\.sides\[0\] is"),
        ({"name": "x\n", "sides": []}, r"box\.name is"),
        ({"name": "x", "sides": [], "kind": "c"}, r"box\.kind is 'c'"),
        ({"name": "x", "sides": [], "weight": float("inf")}, r"box\.weight is"),
        ({"name": "x", "sides": [], "more": 1}, "box has an unknown field 'more'"),
        ([], "box is"),
    ],
)
def test_what_does_not_fit_is_named(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(Box, value, "box")
