from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeirf.calib.conditions.directions import measure_directions
from edgeirf.calib.conditions.perturb import Change
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.runtime.imaging.preprocess import prepare
from edgeirf.runtime.monitor.directions import Directions
from edgeirf.runtime.monitor.statistics import FrameStatistics
from edgeirf.runtime.synthetic.render import render
from edgeirf.settings import Preprocess

SETTINGS = Preprocess(size=(128, 128))


def frames(seed: int, count: int) -> list[NDArray[np.uint8]]:
    return [render(seed, index, size=128).image for index in range(count)]


@pytest.fixture(scope="module")
def measured() -> tuple[Directions, FrameStatistics, list[NDArray[np.uint8]]]:
    """Measured on 16 rendered parts; 16 others to try it on."""
    pictures = [prepare(frame, SETTINGS) for frame in frames(0, 16)]
    measure = FrameStatistics(SETTINGS, np.stack(pictures[:4]))
    return measure_directions(pictures, measure, Tolerances()), measure, frames(1, 16)


@pytest.mark.parametrize(
    ("change", "kind", "amount", "within"),
    [
        (Change(brightness=-0.1), "light", -0.1, 0.02),
        (Change(brightness=0.1), "light", 0.1, 0.03),
        (Change(blur_px=0.8), "focus", 0.8, 0.25),
        (Change(noise_levels=4), "noise", 4, 1.5),
    ],
)
def test_a_change_of_other_parts_gets_its_name_and_amount(
    measured: tuple[Directions, FrameStatistics, list[NDArray[np.uint8]]],
    change: Change,
    kind: str,
    amount: float,
    within: float,
) -> None:
    directions, measure, others = measured
    deviation = np.mean([measure(change(frame)) - measure(frame) for frame in others], axis=0)
    found = directions.explain(deviation)
    assert found[0].kind == kind
    assert found[0].amount == pytest.approx(amount, abs=within)


def test_a_change_that_is_not_tolerated_has_a_direction_too() -> None:
    pictures = [prepare(frame, SETTINGS) for frame in frames(2, 3)]
    directions = measure_directions(pictures, FrameStatistics(SETTINGS, np.stack(pictures)), Tolerances.none())
    assert [one.kind for one in directions.directions] == ["light", "right", "down", "turn", "focus", "noise"]
    assert [one.tolerated for one in directions.directions] == [0.08, 0.015, 0.015, 1.0, 0.8, 3.0]
