"""What can be wrong with a part of ``test://``: scratches, dents, stains and missing features, with their masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.synthetic.part import Array, Surface, make_surface

DEFECTS = ("scratch", "dent", "stain", "missing")


@dataclass(frozen=True)
class Flaw:
    """A part with a defect, before it is placed and lit. All ``(S, S)``.

    Attributes:
        surface: the part's maps with the defect in them.
        stain: 0..1, how much of the light a stain takes.
        mask: True where the defect is.
    """

    surface: Surface
    stain: Array
    mask: NDArray[np.bool_]


def make_flaw(defect: str | None, part: str, size: int, rng: np.random.Generator) -> Flaw:
    """The part with one defect of the kind, or without any."""
    surface = make_surface(part, size)
    if defect is None:
        return Flaw(surface, np.zeros((size, size), np.float32), np.zeros((size, size), np.bool_))
    return _MAKERS[defect](surface, part, size, rng)


def _scratch(surface: Surface, part: str, size: int, rng: np.random.Generator) -> Flaw:
    """One to three bent grooves side by side, with a burr along them; the light catches the burr."""
    canvas = np.zeros((size, size), np.float32)
    middle, angle = _spot(surface, size, rng, margin=0.06), rng.uniform(0, np.pi)
    length, bend = rng.uniform(0.16, 0.42), rng.uniform(-0.05, 0.05)
    width = max(1, round(rng.uniform(0.0045, 0.008) * size))
    for shift in rng.uniform(-0.03, 0.03, rng.integers(1, 4)):
        line = _bent_line(middle, angle + rng.normal(0, 0.05), length * rng.uniform(0.6, 1), bend, shift, size)
        cv2.polylines(canvas, [line], False, 1.0, width, cv2.LINE_AA, shift=4)
    canvas = _soft(canvas, 0.35 * width) * surface.cover
    burr = _soft(canvas, width) - canvas
    height = surface.height + 0.012 * burr - 0.006 * canvas
    machined = np.clip(surface.machined + 0.9 * canvas, 0, 1)
    scratched = Surface(height, surface.cover, machined, surface.features)
    return Flaw(scratched, 0.1 * canvas, canvas > 0.2)


def _dent(surface: Surface, part: str, size: int, rng: np.random.Generator) -> Flaw:
    """A blow with a blunt edge: a hollow, longer than wide, with a raised rim."""
    x, y = _grid(size)
    cx, cy = _spot(surface, size, rng, margin=0.07)
    angle, radius = rng.uniform(0, np.pi), rng.uniform(0.045, 0.085)
    u = (np.cos(angle) * (x - cx) + np.sin(angle) * (y - cy)) / (radius * rng.uniform(1.0, 1.7))
    v = (np.cos(angle) * (y - cy) - np.sin(angle) * (x - cx)) / radius
    distance = np.hypot(u, v) * (1 + 0.12 * np.sin(3 * np.arctan2(v, u) + rng.uniform(0, 6)))
    hollow = np.clip(1 - distance**2, 0, 1) ** 1.5
    rim = np.exp(-(((distance - 1.12) / 0.16) ** 2))
    depth = rng.uniform(0.55, 0.8) * radius
    height = surface.height + surface.cover * (0.12 * depth * rim - depth * hollow)
    machined = surface.machined * (1 - 0.5 * hollow)
    dented = Surface(height.astype(np.float32), surface.cover, machined.astype(np.float32), surface.features)
    return Flaw(dented, np.zeros_like(hollow, np.float32), (distance < 1.15) & (surface.cover > 0.5))


def _stain(surface: Surface, part: str, size: int, rng: np.random.Generator) -> Flaw:
    """A drop of dirty oil: ragged, darker at its edge, with a few splashes."""
    x, y = _grid(size)
    cx, cy = _spot(surface, size, rng, margin=0.05)
    ragged = cv2.resize(rng.standard_normal((16, 16), np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    amount = np.zeros((size, size), np.float32)
    for i in range(rng.integers(2, 6)):
        radius = rng.uniform(0.07, 0.14) if i == 0 else rng.uniform(0.012, 0.04)
        away = rng.normal(0, 0.0 if i == 0 else 0.10, 2)
        distance = np.hypot(x - cx - away[0], y - cy - away[1]) / radius + 0.24 * ragged
        inside = _soft(np.clip((1 - distance) * radius * size / 4, 0, 1), 1.0)
        amount = np.maximum(amount, inside * (0.65 + 0.35 * np.clip(distance, 0, 1) ** 4))
    amount *= surface.cover * rng.uniform(0.7, 1.0)
    return Flaw(surface, amount, amount > 0.25)


def _missing(surface: Surface, part: str, size: int, rng: np.random.Generator) -> Flaw:
    """A step of the work was left out: a hole not drilled, a slot not milled, a name not engraved."""
    number = int(rng.integers(len(surface.features)))
    incomplete = make_surface(part, size, number)
    x, y = _grid(size)
    cx, cy, radius = surface.features[number]
    changed = np.abs(incomplete.height - surface.height) + np.abs(incomplete.cover - surface.cover) > 1e-3
    near = np.hypot(x - cx, y - cy) < 1.6 * radius
    mask = cv2.morphologyEx((changed & near).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return Flaw(incomplete, np.zeros((size, size), np.float32), mask.astype(np.bool_))


_MAKERS: dict[str, Callable[[Surface, str, int, np.random.Generator], Flaw]] = {
    "scratch": _scratch,
    "dent": _dent,
    "stain": _stain,
    "missing": _missing,
}


def _grid(size: int) -> tuple[Array, Array]:
    ticks = (np.arange(size, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0
    x, y = np.meshgrid(ticks, ticks)
    return x, y


def _spot(surface: Surface, size: int, rng: np.random.Generator, margin: float) -> tuple[float, float]:
    """A random place on the metal, ``margin`` part units away from its edges."""
    solid = (surface.cover > 0.99).astype(np.uint8)
    rows, columns = np.nonzero(cv2.distanceTransform(solid, cv2.DIST_L2, 3) > margin * size / 2)
    pick = int(rng.integers(len(rows)))
    return (columns[pick] + 0.5) * 2 / size - 1, (rows[pick] + 0.5) * 2 / size - 1


def _bent_line(
    middle: tuple[float, float], angle: float, length: float, bend: float, shift: float, size: int
) -> NDArray[np.int32]:
    """Points of a parabola in pixels, with four bits after the point."""
    t = np.linspace(-0.5, 0.5, 24)
    along, across = t * length, shift + bend * (1 - 4 * t * t)
    x = middle[0] + np.cos(angle) * along - np.sin(angle) * across
    y = middle[1] + np.sin(angle) * along + np.cos(angle) * across
    points: NDArray[np.int32] = np.rint((np.stack([x, y], 1) + 1) * size / 2 * 16).astype(np.int32)
    return points


def _soft(image: Array, sigma: float) -> Array:
    return cv2.GaussianBlur(image, (0, 0), max(sigma, 0.3)).astype(np.float32, copy=False)
