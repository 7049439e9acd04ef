"""The parts of ``test://``: what a machinist's drawing says, as height and surface maps.

Coordinates are part units: the picture reaches from -1 to 1 on both axes, y down; heights are in the same unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""Maps of a part or a picture, float32."""
Disc = tuple[float, float, float]
"""``(x, y, radius)`` in part units."""

PARTS = ("flange", "bracket")


@dataclass(frozen=True)
class Surface:
    """A part as maps, ``(S, S)`` float32 each.

    Attributes:
        height: above the belt; steep where there is an edge.
        cover: 1 where there is metal, 0 where the belt is seen, in between at edges.
        machined: 1 where the surface is turned or milled bright, 0 where it is as cast.
        features: what can be missing, with the disc it lies in.
    """

    height: Array
    cover: Array
    machined: Array
    features: tuple[Disc, ...]


@lru_cache(maxsize=16)
def make_surface(part: str, size: int, missing: int | None = None) -> Surface:
    """The part at ``size`` pixels, without feature number ``missing``."""
    ticks = (np.arange(size, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0
    x, y = np.meshgrid(ticks, ticks)
    return {"flange": _flange, "bracket": _bracket}[part](x, y, 2.0 / size, missing)


def _flange(x: Array, y: Array, pixel: float, missing: int | None) -> Surface:
    """A cast flange with a turned hub, a groove, six countersunk bolt holes, a keyway and an engraved name."""
    radius = np.hypot(x, y)
    angles = np.deg2rad(np.arange(0, 360, 60))
    holes = [(0.57 * float(np.cos(a)), 0.57 * float(np.sin(a)), 0.062) for a in angles]
    features = (*holes, (0.0, -0.185, 0.05), (0.0, 0.57, 0.14))
    cover = _inside(radius - 0.76, pixel)
    height = 0.10 * _inside(radius - 0.745, 0.03) + 0.12 * _inside(radius - 0.335, 0.022)
    groove = _inside(np.abs(radius - 0.405) - 0.014, 0.010)
    height -= 0.022 * groove
    machined = np.maximum(_inside(radius - 0.33, 0.012), _inside(np.abs(radius - 0.715) - 0.018, 0.012))
    bore = radius - 0.165
    if missing != 6:
        bore = np.minimum(bore, np.maximum(np.abs(x) - 0.032, np.abs(y + 0.19) - 0.04))
    height -= 0.03 * _inside(bore - 0.022, 0.02)
    cover *= 1 - _inside(bore, pixel)
    for hole in (h for i, h in enumerate(holes) if i != missing):
        distance = np.hypot(x - hole[0], y - hole[1]) - hole[2]
        height -= 0.025 * _inside(distance - 0.024, 0.022)
        machined = np.maximum(machined, _inside(distance - 0.036, 0.008))
        cover *= 1 - _inside(distance, pixel)
    if missing != 7:
        height -= 0.018 * _arc_text("IRF 40", x, y, radius=0.57, tall=0.10)
    return Surface(height * cover, cover, machined, features)


def _bracket(x: Array, y: Array, pixel: float, missing: int | None) -> Surface:
    """A milled bracket: a rounded plate with two bosses, a slot, four holes and a pocket."""
    outline = _box(x, y, 0.0, 0.0, 0.74, 0.50, 0.12)
    cover = _inside(outline, pixel)
    height = 0.08 * _inside(outline + 0.015, 0.03)
    machined = _inside(outline + 0.03, 0.015)
    pocket = _box(x, y, 0.0, 0.0, 0.40, 0.27, 0.06)
    height -= 0.03 * _inside(pocket, 0.025)
    machined *= 1 - _inside(pocket + 0.01, 0.012)
    holes = [(sx * 0.58, sy * 0.34, 0.065) for sx in (-1, 1) for sy in (-1, 1)]
    slot = _box(x, y, 0.0, 0.0, 0.20, 0.055, 0.055)
    for hole in (h for i, h in enumerate(holes) if i != missing):
        distance = np.hypot(x - hole[0], y - hole[1]) - hole[2]
        height -= 0.02 * _inside(distance - 0.026, 0.02)
        cover *= 1 - _inside(distance, pixel)
    if missing != 4:
        height -= 0.02 * _inside(slot - 0.02, 0.02)
        cover *= 1 - _inside(slot, pixel)
    for i, center in enumerate((-0.57, 0.57), start=5):
        if missing != i:
            boss = np.hypot(x - center, y) - 0.085
            height += 0.09 * _inside(boss, 0.022) - 0.02 * _inside(boss + 0.05, 0.015)
    features = (*holes, (0.0, 0.0, 0.2), (-0.57, 0.0, 0.1), (0.57, 0.0, 0.1))
    return Surface(height * cover, cover, machined, features)


def _inside(distance: Array, bevel: float) -> Array:
    """1 inside a shape, 0 outside, with a smooth edge as wide as ``bevel``, from the signed distance."""
    t = np.clip(0.5 - distance / bevel, 0, 1)
    result: Array = (t * t * (3 - 2 * t)).astype(np.float32)
    return result


def _box(x: Array, y: Array, cx: float, cy: float, half_width: float, half_height: float, round_: float) -> Array:
    """Signed distance to a box with rounded corners."""
    dx, dy = np.abs(x - cx) - half_width + round_, np.abs(y - cy) - half_height + round_
    outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
    result: Array = outside + np.minimum(np.maximum(dx, dy), 0) - round_
    return result


def _arc_text(text: str, x: Array, y: Array, radius: float, tall: float) -> Array:
    """Text bent around the centre, read from outside at the bottom: 1 in the letters, ``tall`` part units high."""
    (width, rise), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 4.0, 12)
    canvas = np.zeros((rise + 40, width + 40), np.uint8)
    cv2.putText(canvas, text, (20, rise + 20), cv2.FONT_HERSHEY_DUPLEX, 4.0, 255, 12, cv2.LINE_AA)
    letters = cv2.GaussianBlur(canvas, (0, 0), 2.0).astype(np.float32) / 255
    per_unit = rise / tall
    along = np.arctan2(x, y) * radius * per_unit + canvas.shape[1] / 2
    across = (np.hypot(x, y) - radius) * per_unit + canvas.shape[0] / 2
    return cv2.remap(letters, along, across, cv2.INTER_LINEAR, borderValue=0.0)
