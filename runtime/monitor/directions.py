"""What each change that a line may make does to the statistics of a frame; an observed change gets its name from it.

``edgeirf export`` measures the responses on held-out good parts and keeps them in the bundle (:data:`MEMBER`). A bundle
without them is read with :func:`usual_directions`, which names light and position with their amounts, and focus and
noise without.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np

from edgeirf.bundle import Bundle
from edgeirf.errors import BundleError
from edgeirf.runtime.monitor.statistics import RESOLUTIONS, STATISTICS, Floats
from edgeirf.typed_json import from_json

MEMBER: Final = "drift.json"
LARGEST: Final = 1024**2
"""Bytes of the member."""
MATTERS: Final = 0.5
"""A change is said when it is at least this share of what is tolerated."""
EXPLAINS: Final = 0.25
"""A change is said when it explains at least this share of the deviation."""
UNKNOWN: Final = 0.5
"""No change is said when more than this share of the deviation stays unexplained: it is something else."""
UNCERTAIN: Final = 0.15
"""Share of a deviation that the measured responses do not explain to the letter."""
LEAST: Final = 0.5
"""A change whose response is below this many standard deviations of the good parts cannot be recognised."""
_STEPS: Final = 321

Kind = Literal["light", "right", "down", "turn", "focus", "noise"]


@dataclass(frozen=True)
class Direction:
    """The response of the statistics to one kind of change.

    Attributes:
        kind: of change.
        tolerated: the largest amount that the line may make: share of the light, share of a side, degrees, pixels,
            levels of 255.
        amounts: that were measured, ascending, 0 among them.
        responses: change of every statistic at each amount.
        stated: the amount may be said; False where it is only a share of what is tolerated.
    """

    kind: Kind
    tolerated: float
    amounts: tuple[float, ...]
    responses: tuple[tuple[float, ...], ...]
    stated: bool = True

    def __post_init__(self) -> None:
        if list(self.amounts) != sorted(set(self.amounts)) or 0.0 not in self.amounts or len(self.amounts) > 32:
            raise ValueError("amounts are ascending, at most 32, and 0 is one of them")
        if len(self.amounts) != len(self.responses) or {*map(len, self.responses)} != {len(STATISTICS)}:
            raise ValueError("one response of every statistic for each amount")
        if not self.tolerated > 0 or not all(math.isfinite(v) for row in self.responses for v in row):
            raise ValueError("tolerated is positive and responses are finite")

    @cached_property
    def curve(self) -> tuple[Floats, Floats]:
        """Amounts ``(n,)`` and responses ``(n, statistics)``, interpolated."""
        amounts = np.linspace(self.amounts[0], self.amounts[-1], _STEPS)
        rows = np.array(self.responses)
        return amounts, np.stack([np.interp(amounts, self.amounts, rows[:, j]) for j in range(rows.shape[1])], axis=1)

    def response(self, amount: float) -> Floats:
        """The response at one amount."""
        rows = np.array(self.responses)
        return np.array([np.interp(amount, self.amounts, rows[:, j]) for j in range(rows.shape[1])])


@dataclass(frozen=True)
class Change:
    """A change that was recognised.

    >>> Change("light", -0.06, 0.75).text, Change("right", -0.02, 1.3).text
    ('light -6 %', '2 % to the left')

    Attributes:
        kind: of change.
        amount: in the unit of :class:`Direction`.
        share: of what is tolerated.
        stated: the amount may be said.
    """

    kind: Kind
    amount: float
    share: float
    stated: bool = True

    @property
    def text(self) -> str:
        """The change in words."""
        size, up = abs(self.amount), self.amount > 0
        if self.kind in ("right", "down"):
            ways = {"right": ("to the right", "to the left"), "down": ("down", "up")}[self.kind]
            return f"{100 * size:.2g} % {ways[0] if up else ways[1]}"
        if self.kind == "light":
            return f"light {100 * self.amount:+.2g} %"
        if self.kind == "turn":
            return f"turned {size:.2g} degrees {'counter-clockwise' if up else 'clockwise'}"
        if self.kind == "focus":
            return f"focus {size:.2g} px softer" if self.stated else "focus softer"
        return f"noise +{size:.2g} levels" if self.stated else "more noise"


@dataclass(frozen=True)
class Directions:
    """Every change that can be recognised, for one product.

    >>> usual = usual_directions()
    >>> [change.text for change in usual.explain(np.array([-0.06, -0.06, 0, 0, -0.02, 0, 0]))]
    ['light -6 %', '2 % to the left']

    Attributes:
        spread: standard deviation of every statistic between good parts.
        directions: one for each kind of change.
    """

    spread: tuple[float, ...]
    directions: tuple[Direction, ...]

    def __post_init__(self) -> None:
        if len(self.spread) != len(STATISTICS) or not all(0 < value < math.inf for value in self.spread):
            raise ValueError("spread has a positive value for every statistic")
        if len({one.kind for one in self.directions}) != len(self.directions):
            raise ValueError("one direction of each kind")

    def explain(
        self, deviation: Floats, spread: Floats | None = None, zooms: Mapping[Kind, float] = MappingProxyType({})
    ) -> tuple[Change, ...]:
        """Names a deviation of the mean of recent frames: the change that explains most first.

        Args:
            deviation: of every statistic.
            spread: of the good parts of the line; None takes that of the held-out ones.
            zooms: by how much a change of a kind is larger in the frame than in the network's input.

        Returns:
            changes that matter (:data:`MATTERS`); none where no known change explains the deviation.
        """
        usual = np.maximum(self.spread if spread is None else spread, RESOLUTIONS)
        scale = np.hypot(usual, UNCERTAIN * deviation)
        rest = deviation / scale
        whole, found = float(rest @ rest), []
        left = [one for one in self.directions if np.linalg.norm(one.response(one.tolerated) / usual) >= LEAST]
        while left and whole > 0:
            fits = [_fit(one, rest, scale) for one in left]
            at = max(range(len(fits)), key=lambda i: fits[i][0])
            gain, amount, response = fits[at]
            direction = left.pop(at)
            if gain < EXPLAINS * whole:
                break
            rest = rest - response
            amount *= zooms.get(direction.kind, 1.0) if direction.stated else 1.0
            found.append(Change(direction.kind, amount, abs(amount) / direction.tolerated, direction.stated))
        if float(rest @ rest) > UNKNOWN * whole:
            return ()
        return tuple(change for change in found if change.share >= MATTERS)


def _fit(direction: Direction, rest: Floats, scale: Floats) -> tuple[float, float, Floats]:
    """By how much the best amount of a change lowers the sum of squares, that amount, and its response."""
    amounts, responses = direction.curve
    scaled = responses / scale
    squares = np.square(rest - scaled).sum(1)
    best = int(np.argmin(squares))
    return float(rest @ rest - squares[best]), float(amounts[best]), scaled[best]


def usual_directions() -> Directions:
    """For a bundle without measured responses: what follows from the definition of the statistics."""
    index = {name: at for at, name in enumerate(STATISTICS)}

    def one(kind: Kind, tolerated: float, unit: Mapping[str, float], both: bool, stated: bool) -> Direction:
        shares = [-4.0, -1.0, 0.0, 1.0, 4.0] if both else [0.0, 1.0, 4.0]
        rows = np.zeros((len(shares), len(STATISTICS)))
        for name, value in unit.items():
            rows[:, index[name]] = np.array(shares) * tolerated * value
        return Direction(
            kind, tolerated, tuple(share * tolerated for share in shares), tuple(map(tuple, rows.tolist())), stated
        )

    return Directions(
        (0.01, 0.02, 0.03, 0.1, 0.004, 0.004, 0.5),
        (
            one("light", 0.08, {"brightness": 1.0, "contrast": 1.0}, True, True),
            one("right", 0.015, {"right": 1.0}, True, True),
            one("down", 0.015, {"down": 1.0}, True, True),
            one("turn", 1.0, {"turn": 1.0}, True, True),
            one("focus", 1.0, {"sharpness": -0.2, "noise": -0.35}, False, False),
            one("noise", 1.0, {"noise": 0.5, "sharpness": 0.1}, False, False),
        ),
    )


def to_json(products: Mapping[str, Directions]) -> bytes:
    """The member of the bundle."""
    raw = {product: dataclasses.asdict(directions) for product, directions in products.items()}
    return json.dumps(raw, allow_nan=False, ensure_ascii=False).encode()


def read_directions(bundle: Bundle, product: str) -> Directions | None:
    """What the bundle knows about a product; None where it was exported without.

    Raises:
        BundleError: the member is too large or does not fit.
    """
    if MEMBER not in bundle.manifest.members:
        return None
    try:
        data = bundle.member(MEMBER)
        if len(data) > LARGEST:
            raise ValueError(f"{len(data)} bytes are too many")
        products: Any = from_json(dict[str, Directions], json.loads(data), MEMBER)
    except (ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BundleError(f"{bundle.path}: {MEMBER} is unusable ({reason}): export it again") from None
    found: Directions | None = products.get(product)
    return found
