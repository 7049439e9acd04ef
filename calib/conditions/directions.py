"""Measures what each tolerated change does to the statistics of a frame, on held-out good parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from edgeirf.calib.conditions.perturb import Change
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.monitor.directions import Direction, Directions, Kind
from edgeirf.runtime.monitor.statistics import STATISTICS, FrameStatistics, mean_and_spread, whole_picture

PICTURES: Final = 12
"""So many pictures say how the statistics respond."""
SHARES: Final = (0.5, 1.0, 2.0, 4.0)
"""Of what is tolerated: the amounts that are measured."""
_LEAST_BLUR: Final = 0.5
"""Pixels of the network's input: what is less can hardly be seen there."""


def measure_directions(pictures: Sequence[Pixels], measure: FrameStatistics, tolerances: Tolerances) -> Directions:
    """The responses of one product.

    Args:
        pictures: prepared pixels ``(T, height, width, 3)`` RGB of held-out good parts.
        measure: computes the statistics.
        tolerances: what the line may do; a change that it may not make is measured up to the default tolerance.
    """
    whole = [whole_picture(one, measure.settings) for one in pictures]
    usual = [measure.of_whole(one) for one in whole]
    chosen = range(0, len(whole), max(1, len(whole) // PICTURES))
    found = []
    for kind, tolerated in _amounts(tolerances):
        rows = {0.0: np.zeros(len(usual[0]))}
        for amount in _signed(kind, tolerated):
            change = _change(kind, amount)
            responses = [measure.of_whole(change(whole[at], measure.settings.bits)) - usual[at] for at in chosen]
            rows[amount] = np.where(_seen_by(kind), np.median(responses, axis=0), 0.0)
        amounts = sorted(rows)
        found.append(Direction(kind, tolerated, tuple(amounts), tuple(tuple(rows[a].tolist()) for a in amounts)))
    return Directions(tuple(mean_and_spread(usual)[1].tolist()), tuple(found))


def _amounts(given: Tolerances) -> Iterator[tuple[Kind, float]]:
    """What is tolerated of each kind of change."""
    default = Tolerances()
    yield "light", given.brightness or default.brightness
    yield "right", given.shift or default.shift
    yield "down", given.shift or default.shift
    yield "turn", given.rotate_deg or default.rotate_deg
    yield "focus", max(given.blur_px or default.blur_px, _LEAST_BLUR)
    yield "noise", given.noise_levels or default.noise_levels


def _seen_by(kind: Kind) -> list[bool]:
    """Which statistics a change acts on. A move changes the position alone: what else differs is interpolation."""
    moves = ("right", "down", "turn")
    return [kind not in moves or name in moves for name in STATISTICS]


def _signed(kind: Kind, tolerated: float) -> list[float]:
    positive = [share * tolerated for share in SHARES]
    return positive if kind in ("focus", "noise") else [*(-amount for amount in positive), *positive]


def _change(kind: Kind, amount: float) -> Change:
    changes = {
        "light": Change(brightness=amount),
        "right": Change(shift_x=amount),
        "down": Change(shift_y=amount),
        "turn": Change(rotate_deg=amount),
        "focus": Change(blur_px=abs(amount)),
        "noise": Change(noise_levels=abs(amount)),
    }
    return changes[kind]
