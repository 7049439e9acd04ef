"""How much of each nuisance good parts bear before too many of them are rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeirf.calib.conditions.perturb import Change
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.calib.evaluation.count import Count
from edgeirf.errors import FrameError
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.imaging.images import read_image

STEPS: Final = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Shares of the tolerated amount."""
MOST: Final = 40
"""Good parts that are inspected, spread evenly over all."""
Track = Callable[[Sequence[Path]], Iterable[Path]]


@dataclass(frozen=True)
class Nuisance:
    """One way a picture changes.

    Attributes:
        name: as in JSON.
        unit: of the amounts.
        tolerated: amount of :class:`~edgeirf.calib.conditions.tolerances.Tolerances`.
        change: amount and number of the part to the change; the number chooses the direction and the noise.
    """

    name: str
    unit: str
    tolerated: float
    change: Callable[[float, int], Change]


@dataclass(frozen=True)
class Curve:
    """Rejected good parts at growing amounts of a nuisance.

    Attributes:
        nuisance: what changes.
        amounts: ascending from none, in the nuisance's unit.
        rejected: good parts rejected at each amount.
        promised: the rate that the threshold promises.
    """

    nuisance: Nuisance
    amounts: tuple[float, ...]
    rejected: tuple[Count, ...]
    promised: float

    @property
    def holds_to(self) -> float | None:
        """The largest amount up to which the good parts do not contradict the promise; None: not even without change.

        They contradict it where the lower bound of the rate, at 95 % confidence, is above the promise.
        """
        held = None
        for amount, count in zip(self.amounts, self.rejected, strict=True):
            if (count.at_least or 0.0) > self.promised:
                break
            held = amount
        return held

    def to_json(self) -> dict[str, object]:
        """Unit, amounts, counts with bounds, and the amount to which the promise holds."""
        return {
            "unit": self.nuisance.unit,
            "tolerated": self.nuisance.tolerated,
            "amounts": list(self.amounts),
            "false_rejects": [count.to_json() for count in self.rejected],
            "holds_to": self.holds_to,
        }


def nuisances(tolerances: Tolerances) -> list[Nuisance]:
    """Every nuisance; one that is not tolerated at all is measured around its default."""
    default = Tolerances()
    light = 100 * (tolerances.brightness or default.brightness)
    shift = 100 * (tolerances.shift or default.shift)
    angle, blur = tolerances.rotate_deg or default.rotate_deg, tolerances.blur_px or default.blur_px
    noise = tolerances.noise_levels or default.noise_levels
    directions = [(1, 0), (-1, 0), (0, 1), (0, -1)]

    def shifted(amount: float, part: int) -> Change:
        x, y = directions[part % 4]
        return Change(shift_x=x * amount / 100, shift_y=y * amount / 100)

    return [
        Nuisance("darker", "%", light, lambda amount, part: Change(brightness=-min(amount, 100) / 100)),
        Nuisance("brighter", "%", light, lambda amount, part: Change(brightness=amount / 100)),
        Nuisance("blurred", "px", blur, lambda amount, part: Change(blur_px=amount)),
        Nuisance("noisier", "levels of 255", noise, lambda amount, part: _noisy(amount, part)),
        Nuisance("shifted", "% of the side", shift, shifted),
        Nuisance("rotated", "deg", angle, lambda amount, part: Change(rotate_deg=amount * (-1) ** part)),
    ]


def measure_curves(
    detector: Detector, good: Sequence[Path], tolerances: Tolerances, track: Track = iter
) -> tuple[Curve, ...]:
    """Inspects good parts under growing changes, one nuisance at a time.

    Shifts take four directions and rotations two, in turn from part to part.

    Args:
        detector: decides.
        good: pictures of good parts; :data:`MOST` of them are read.
        tolerances: the amounts around which is measured: :data:`STEPS` times each.
        track: wraps the loop over the pictures, for a progress bar.
    """
    chosen = [good[i * len(good) // min(len(good), MOST)] for i in range(min(len(good), MOST))]
    kinds = nuisances(tolerances)
    rejected = [[0] * len(STEPS) for _ in kinds]
    bits, read = detector.bundle.manifest.preprocess.bits, 0
    for part, path in enumerate(track(chosen)):
        try:
            frame = read_image(path)
            for kind, counts in zip(kinds, rejected, strict=True):
                for at, step in enumerate(STEPS):
                    counts[at] += detector(kind.change(step * kind.tolerated, part)(frame, bits)).reject
        except FrameError:  # the evaluation has named it
            continue
        read += 1
    return tuple(
        Curve(
            kind,
            tuple(step * kind.tolerated for step in STEPS),
            tuple(Count(count, read) for count in counts),
            detector.false_reject_rate,
        )
        for kind, counts in zip(kinds, rejected, strict=True)
        if read
    )


def _noisy(levels: float, part: int) -> Change:
    return Change(noise_levels=levels, noise_at=part * 7919)
