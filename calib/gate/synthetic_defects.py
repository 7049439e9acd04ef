"""Defects drawn into pictures of good parts: not to train on, but to see whether a reduced precision still sees them.

Sizes and strengths are drawn from faint to plain, so that some are hard: defects that every graph finds prove nothing.
The cut-and-paste kind follows CutPaste (Li et al., arXiv 2104.04015).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.imaging.pixel_format import Pixels

Picture = NDArray[np.float32]
Painter = Callable[[Picture, np.random.Generator], Picture]


def add_defect(prepared: Pixels, kind: str, seed: int) -> Pixels:
    """A copy of prepared pixels with one defect in one tile.

    Args:
        prepared: ``(T, height, width, 3)`` uint8 or uint16, from
            :func:`edgeirf.runtime.imaging.preprocess.prepare`.
        kind: one of :data:`KINDS`.
        seed: equal seeds make equal defects.
    """
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    defective = prepared.copy()
    tile = int(rng.integers(len(prepared)))
    white = float(np.iinfo(prepared.dtype).max) if prepared.dtype == np.uint8 else max(float(prepared.max()), 1.0)
    painted = KINDS[kind](prepared[tile].astype(np.float32) / np.float32(white), rng)
    defective[tile] = np.clip(np.rint(painted * white), 0, white).astype(prepared.dtype)
    return defective


def _place(picture: Picture, rng: np.random.Generator) -> tuple[float, float, float]:
    """Centre inside the middle of the picture, where the part is, and the shorter side; pixels."""
    height, width = picture.shape[:2]
    x, y = rng.uniform(0.2, 0.8, 2) * (width, height)
    return float(x), float(y), float(min(height, width))


def _scratch(picture: Picture, rng: np.random.Generator) -> Picture:
    """A thin crooked line, brighter or darker."""
    x, y, side = _place(picture, rng)
    steps = np.cumsum(rng.normal(0, 0.25, 8)) + rng.uniform(0, 2 * np.pi)
    length = rng.uniform(0.05, 0.25) * side / 8
    path = np.cumsum(np.stack([np.cos(steps), np.sin(steps)], 1) * length, 0)
    points = np.rint(path + np.array([x, y])).astype(np.int32)
    mask = np.zeros(picture.shape[:2], np.float32)
    thickness = max(1, round(rng.uniform(0.004, 0.012) * side))
    cv2.polylines(mask, [points], False, 1.0, thickness, cv2.LINE_AA)
    return _shift(picture, mask, rng, 0.15, 0.6)


def _stain(picture: Picture, rng: np.random.Generator) -> Picture:
    """A soft blob of another colour."""
    mask = _blob(picture, rng, 0.02, 0.08)
    soft = cv2.GaussianBlur(mask, (0, 0), 0.01 * min(picture.shape[:2])).astype(np.float32)
    return _shift(picture, soft, rng, 0.1, 0.4)


def _hole(picture: Picture, rng: np.random.Generator) -> Picture:
    """A hard-edged dark or bright spot."""
    return _shift(picture, _blob(picture, rng, 0.01, 0.04), rng, 0.3, 0.8)


def _cut_paste(picture: Picture, rng: np.random.Generator) -> Picture:
    """A turned patch of the same picture elsewhere."""
    height, width = picture.shape[:2]
    size = max(3, round(rng.uniform(0.04, 0.12) * min(height, width)))
    fromx, fromy, tox, toy = (int(rng.integers(0, side - size + 1)) for side in (width, height, width, height))
    pasted = picture.copy()
    patch = picture[fromy : fromy + size, fromx : fromx + size]
    pasted[toy : toy + size, tox : tox + size] = np.rot90(patch, int(rng.integers(1, 4)))
    return pasted


def _smear(picture: Picture, rng: np.random.Generator) -> Picture:
    """Texture rubbed out."""
    mask = _blob(picture, rng, 0.04, 0.1)[..., None]
    blurred = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.01, 0.03) * min(picture.shape[:2]))
    return np.asarray(picture * (1 - mask) + blurred * mask, np.float32)


KINDS: dict[str, Painter] = {
    "scratch": _scratch,
    "stain": _stain,
    "hole": _hole,
    "cut-paste": _cut_paste,
    "smear": _smear,
}


def _blob(picture: Picture, rng: np.random.Generator, smallest: float, largest: float) -> Picture:
    """Mask of an ellipse, radii a share of the shorter side."""
    x, y, side = _place(picture, rng)
    radii = np.maximum(1, np.rint(rng.uniform(smallest, largest, 2) * side)).astype(int)
    mask = np.zeros(picture.shape[:2], np.float32)
    angle: Any = float(rng.uniform(0, 180))
    cv2.ellipse(mask, (round(x), round(y)), (int(radii[0]), int(radii[1])), angle, 0, 360, 1.0, -1, cv2.LINE_AA)
    return mask


def _shift(picture: Picture, mask: Picture, rng: np.random.Generator, least: float, most: float) -> Picture:
    """Lighter where the picture is dark below the mask, darker where it is bright, with a little colour."""
    inside = float((picture.mean(2) * mask).sum() / max(float(mask.sum()), 1e-6))
    amount = rng.uniform(least, most) * (1 if inside < 0.5 else -1) + rng.normal(0, 0.03, 3)
    return np.asarray(picture + mask[..., None] * amount.astype(np.float32), np.float32)
