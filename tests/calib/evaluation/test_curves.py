"""How much of each nuisance good parts bear."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgeirf
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.calib.evaluation.count import Count
from edgeirf.calib.evaluation.curves import STEPS, Curve, measure_curves, nuisances
from edgeirf.calib.reports.wording import holds_to
from edgeirf.runtime.imaging.folder import find_pictures

LIGHT = nuisances(Tolerances())[0]


def curve(*rejected: int, of: int = 20, promised: float = 0.01) -> Curve:
    return Curve(LIGHT, (0.0, 1.0, 2.0), tuple(Count(count, of) for count in rejected), promised)


@pytest.mark.parametrize(
    ("found", "amount", "text"),
    [
        (curve(0, 0, 0), 2.0, "2 % and more"),
        (curve(0, 1, 9), 1.0, "1 %"),
        (curve(0, 9, 0), 0.0, "less than 1 %"),
        (curve(9, 9, 9), None, "not even without change"),
        (curve(0, 0, 0, of=1), 2.0, "2 % and more"),
    ],
)
def test_a_curve_holds_until_the_promise_is_contradicted(found: Curve, amount: float | None, text: str) -> None:
    assert found.holds_to == amount
    assert holds_to(found) == text


def test_every_nuisance_is_measured_around_its_tolerance() -> None:
    kinds = nuisances(Tolerances(brightness=0.2, shift=0.0))
    assert [kind.name for kind in kinds] == ["darker", "brighter", "blurred", "noisier", "shifted", "rotated"]
    assert kinds[0].tolerated == pytest.approx(20)
    assert kinds[4].tolerated == pytest.approx(1.5)
    directions = {(kinds[4].change(2, part).shift_x, kinds[4].change(2, part).shift_y) for part in range(4)}
    assert directions == {(0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02)}
    assert [kinds[0].change(amount, 0).brightness for amount in (10, 400)] == [-0.1, -1.0]


def test_light_is_what_the_tiny_model_does_not_bear(tiny_path: Path, labelled: Callable[..., Path]) -> None:
    paths = list(find_pictures(labelled() / "test" / "good").pictures)
    with edgeirf.load(tiny_path, device="cpu", threads=1) as detector:
        found = measure_curves(detector, paths, Tolerances(brightness=0.3))
        again = measure_curves(detector, paths, Tolerances(brightness=0.3))
    assert found[0].rejected == again[0].rejected
    by_name: dict[str, Any] = {one.nuisance.name: one for one in found}
    assert by_name["darker"].rejected[-1] == Count(6, 6)
    assert by_name["darker"].rejected[0].events == by_name["shifted"].rejected[0].events
    assert len(by_name["darker"].amounts) == len(STEPS)
    json.dumps(by_name["darker"].to_json(), allow_nan=False)


def test_without_good_parts_there_is_no_curve(tiny_path: Path, tmp_path: Path) -> None:
    with edgeirf.load(tiny_path, device="cpu", threads=1) as detector:
        assert measure_curves(detector, [], Tolerances()) == ()
        assert measure_curves(detector, [tmp_path / "gone.png"], Tolerances()) == ()
