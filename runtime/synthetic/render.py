"""Pictures of the parts of ``test://``: placed on a belt, lit from the side, seen by a camera with noise.

Shading is Lambert plus a highlight: a broad one (Blinn 1977) on cast surfaces, and on turned ones the bow tie that
concentric grooves make of it (Kajiya and Kay 1989). Shadows are marched through the height map.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.synthetic.defects import make_flaw
from edgeirf.runtime.synthetic.part import Array

BELT = np.array([0.034, 0.040, 0.024], np.float32)  # linear BGR, as the metals below: a dark green rubber
CAST = np.array([0.250, 0.243, 0.236], np.float32)
TURNED = np.array([0.150, 0.150, 0.152], np.float32)
OIL = np.array([0.05, 0.13, 0.26], np.float32)
AMBIENT, DIRECT = 0.34, 1.0
_ATLAS = 1024


@dataclass(frozen=True)
class RenderedPart:
    """A picture of a part and the truth about it.

    Attributes:
        image: ``(size, size, 3)`` uint8 BGR.
        mask: ``(size, size)`` bool, where the defect is; nowhere on a good part.
        defect: its kind, None for a good part.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    defect: str | None


@dataclass(frozen=True)
class _Placed:
    """The maps of a part where it lies in the picture, ``(S, S)`` each; ``matrix`` has put them there."""

    height: Array
    cover: Array
    machined: Array
    stain: Array
    matrix: Array


def render(seed: int, index: int, defect: str | None = None, part: str = "flange", size: int = 640) -> RenderedPart:
    """Renders one part.

    Args:
        seed, index: name the part: equal ones give equal pictures, in whatever order they are asked for, and with
            and without a defect the same part.
        defect: ``scratch``, ``dent``, ``stain``, ``missing``, or None for a good part.
        part: ``flange`` or ``bracket``.
        size: pixels a side.
    """
    rng = np.random.default_rng([seed, index])
    flaw = make_flaw(defect, part, size, np.random.default_rng([seed, index, 2]))
    matrix = _pose(rng, size)
    maps = np.dstack([flaw.surface.height, flaw.surface.cover, flaw.surface.machined, flaw.stain]).astype(np.float32)
    height, cover, machined, stain = cv2.split(cv2.warpAffine(maps, matrix, (size, size)))
    placed = _Placed(height, cover, machined, stain, matrix)
    mask = cv2.warpAffine(flaw.mask.astype(np.float32), matrix, (size, size)) > 0.5
    return RenderedPart(_camera(_shade(placed, _light(rng), rng), rng), mask, defect)


def _pose(rng: np.random.Generator, size: int) -> Array:
    """2x3 matrix from part maps to the picture: a slight turn, shift and change of distance."""
    angle, scale = rng.normal(0, 1.5), rng.uniform(0.985, 1.015)
    matrix = cv2.getRotationMatrix2D((size / 2 - 0.5, size / 2 - 0.5), float(np.clip(angle, -4, 4)), scale)
    shift = np.clip(rng.normal(0, 0.008, (2, 1)), -0.02, 0.02) * size
    return np.hstack([matrix[:, :2], matrix[:, 2:] + shift]).astype(np.float32)


def _light(rng: np.random.Generator) -> Array:
    """Vector towards the lamp (x right, y down, z to the camera), as long as the lamp is strong."""
    azimuth, elevation = np.deg2rad(rng.normal(-128, 2)), np.deg2rad(rng.normal(48, 1.5))
    level = np.cos(elevation)
    towards = np.array([np.cos(azimuth) * level, np.sin(azimuth) * level, np.sin(elevation)])
    return (towards * rng.normal(1.0, 0.025)).astype(np.float32)


def _shade(placed: _Placed, light: Array, rng: np.random.Generator) -> Array:
    """Light that reaches the camera, ``(S, S, 3)`` linear BGR."""
    size = len(placed.height)
    towards = light / np.linalg.norm(light)
    grain = _grain(rng, size)
    lambert, facing, half = _angles(placed.height + 0.0006 * grain * placed.cover * (1 - placed.machined), towards)
    grooves, bow_tie = _turned(placed.matrix, half, facing, rng)
    lit = _shadow(placed.height, towards) * float(np.linalg.norm(light))
    sky, oil = AMBIENT * _open_sky(placed.height), placed.stain
    bright = placed.machined * (1 - 0.8 * oil)
    gloss = ((1 - bright) * (0.08 + 0.05 * oil) * cv2.pow(facing, 12) + bright * bow_tie) * (0.3 + 0.7 * lit)
    diffuse, vignette = sky + DIRECT * lit * lambert, _falloff(size)
    floor = (sky + DIRECT * float(towards[2]) * lit) * _belt(rng, size)
    planes = []
    for belt, cast, turned, film in zip(BELT, CAST, TURNED, OIL, strict=True):
        metal = cast * (1 + 0.07 * grain)
        metal += placed.machined * (turned * (1 + 0.25 * grooves) - metal)
        metal *= 1 + (film - 1) * oil
        ground = belt * floor
        planes.append((ground + placed.cover * (metal * diffuse + gloss - ground)) * vignette)
    color: Array = cv2.merge(planes)
    return color


def _angles(height: Array, towards: Array) -> tuple[Array, Array, Array]:
    """Cosines to the lamp and to the half vector between lamp and camera, ``(S, S)``, and that vector."""
    per_pixel = len(height) / 64  # Scharr's weights sum to 32; the picture is two units wide
    slope_x = cv2.Scharr(height, cv2.CV_32F, 1, 0, scale=per_pixel)
    slope_y = cv2.Scharr(height, cv2.CV_32F, 0, 1, scale=per_pixel)
    upright = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    half = towards + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    lambert, facing = ((v[2] - slope_x * v[0] - slope_y * v[1]) * upright for v in (towards, half))
    return np.maximum(lambert, 0), np.clip(facing, 0, 1), half


def _turned(matrix: Array, half: Array, facing: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Of concentric grooves: their pattern along the radius, about -1..1, and the highlight on them."""
    size, scale = len(facing), float(np.hypot(matrix[0, 0], matrix[0, 1]))
    center = matrix @ np.array([size / 2 - 0.5, size / 2 - 0.5, 1], np.float32)
    ticks = np.arange(size, dtype=np.float32)
    x, y = np.meshgrid((ticks - center[0]) * (2 / size), (ticks - center[1]) * (2 / size))
    radius = cv2.magnitude(x, y) + 1e-4
    cuts = rng.standard_normal(_ATLAS, np.float32) + _line_noise(rng, 5)
    pattern = np.clip(0.45 * cuts, -1, 1)
    grooves = pattern[np.minimum((radius * (200 / scale)).astype(np.int32), _ATLAS - 1)]
    across = (half[1] * x - half[0] * y) / radius
    bow_tie: Array = cv2.pow(1 - across**2, 44) * (0.52 + 0.13 * grooves) * cv2.pow(facing, 3)
    return grooves, bow_tie


def _shadow(height: Array, towards: Array, steps: int = 10, reach: float = 0.24) -> Array:
    """1 where the lamp is seen, less where something higher stands before it; at half the resolution."""
    size = len(height) // 2
    low = cv2.resize(height, (size, size), interpolation=cv2.INTER_AREA)
    lit = np.ones_like(low)
    for step in range(1, steps + 1):
        rise = reach * step / steps
        away = towards[:2] * (rise / float(towards[2]) * size / 2)
        shifted = cv2.warpAffine(low, np.array([[1, 0, -away[0]], [0, 1, -away[1]]], np.float32), (size, size))
        lit = np.minimum(lit, np.clip(1 - (shifted - low - rise) * 40, 0, 1))
    return cv2.resize(_soft(lit, size * 0.004), height.shape).astype(np.float32, copy=False)


def _open_sky(height: Array) -> Array:
    """Share of the sky that a point sees, by how far it lies below what is around it, near and far."""
    near = _soft(height, len(height) * 0.005) - height
    far = _broad(height, 0.025) - height
    sky: Array = np.clip(1 - 2.2 * far - 6 * near, 0.25, 1.15)
    return sky


def _belt(rng: np.random.Generator, size: int) -> Array:
    """Brightness of the belt's woven rubber, about 1, at another place under each part."""
    ticks = np.arange(size, dtype=np.float32) * (2 * np.pi * 60 / size)
    weave = np.outer(np.sin(ticks + np.float32(rng.uniform(0, 6.28))), np.sin(ticks + np.float32(rng.uniform(0, 6.28))))
    worn = cv2.resize(rng.standard_normal((24, 24), np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    texture: Array = 1 + 0.18 * weave + 0.09 * np.clip(worn, -2, 2) + 0.09 * _noise(rng, size)
    return texture


def _grain(rng: np.random.Generator, size: int) -> Array:
    """The sand of the mould: fine and coarse noise, about -2..2."""
    fine, coarse = _soft(_noise(rng, size), size / 640), _soft(_noise(rng, size), size / 250)
    result: Array = fine * (0.7 / float(fine.std())) + coarse * (0.7 / float(coarse.std()))
    return result


def _falloff(size: int) -> Array:
    """Lens and lamp: a little darker towards the corners and away from the lamp."""
    ticks = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = np.meshgrid(ticks, ticks)
    result: Array = 1 - 0.10 * (x**2 + y**2) - 0.05 * (x + y)
    return result


def _camera(color: Array, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Linear light to sRGB bytes: lens blur, exposure, shot and read noise, gamma."""
    seen = _soft(color, len(color) / 1100) * 1.3
    seen += rng.standard_normal(seen.shape, np.float32) * np.sqrt(0.00012 * np.maximum(seen, 0) + 0.000004)
    image: NDArray[np.uint8] = np.rint(255 * cv2.pow(np.clip(seen, 0, 1), 1 / 2.2)).astype(np.uint8)
    return image


def _noise(rng: np.random.Generator, size: int) -> Array:
    return rng.standard_normal((size, size), np.float32)


def _line_noise(rng: np.random.Generator, width: float) -> Array:
    line = cv2.GaussianBlur(rng.standard_normal((1, _ATLAS), np.float32), (0, 0), width)[0]
    result: Array = line / line.std()
    return result


def _soft(image: Array, sigma: float) -> Array:
    return cv2.GaussianBlur(image, (0, 0), max(sigma, 0.3)).astype(np.float32, copy=False)


def _broad(image: Array, share: float) -> Array:
    """Blurred by ``share`` of the picture's side; done small, for such a blur leaves nothing fine."""
    small = cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA)
    return cv2.resize(_soft(small, share * 96), image.shape, interpolation=cv2.INTER_CUBIC)
