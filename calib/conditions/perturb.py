"""What a line may do to a picture: light, focus, position, noise and JPEG, within tolerances.

The recipe, at the picture's own resolution, before any resize, in this order; training and evaluation share it:

1. light: v becomes ``white (v / white (1 + b))^(1 + g)``, clipped to white;
2. position: rotation around the centre and shift, bicubic, the border is repeated;
3. focus: Gaussian blur;
4. noise: Gaussian, independent for each value;
5. the picture is rounded to its type; then JPEG, for half of the pictures. A 16-bit picture becomes an 8-bit JPEG and
   is scaled back, as happens where such a camera's pictures are collected as JPEG.

Every amount is drawn evenly within :class:`~edgeirf.calib.conditions.tolerances.Tolerances`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.calib.conditions.tolerances import JPEG_BEST, JPEG_SHARE, Tolerances
from edgeirf.runtime.imaging.pixel_format import Pixels

Floats = NDArray[np.float32]

_POOL = 1_048_583
"""Normal values that all pictures share, at an offset of their own: a draw for each pixel would take most of the time.
Prime, so that no two rows of a picture see the same noise."""


@dataclass(frozen=True)
class Change:
    """One change of one picture; the units are those of :class:`Tolerances`. The default is no change."""

    brightness: float = 0.0
    gamma: float = 0.0
    blur_px: float = 0.0
    rotate_deg: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    noise_levels: float = 0.0
    jpeg_quality: int | None = None
    noise_at: int = 0

    def __call__(self, image: Pixels, bits: int = 16) -> Pixels:
        """The changed picture; see :func:`perturb`."""
        if self == Change(noise_at=self.noise_at):
            return image.copy()
        white = 255.0 if image.dtype == np.uint8 else 2.0**bits - 1.0
        pixels = image[..., 0] if image.shape[2:] == (1,) else image
        values = _blurred(_moved(_lit(pixels, self, white), self), self.blur_px)
        changed = _rounded(values, self, image.dtype.type, white)
        if self.jpeg_quality is not None:
            changed = _jpeg(changed, self.jpeg_quality, white)
        return changed.reshape(image.shape)


def perturb(image: Pixels, tolerances: Tolerances, rng: np.random.Generator, bits: int = 16) -> Pixels:
    """Changes a picture at random within tolerances.

    >>> rng = np.random.default_rng(0)
    >>> perturb(np.full((60, 80), 100, np.uint8), Tolerances(), rng).shape
    (60, 80)

    Args:
        image: ``(H, W)`` or ``(H, W, 1)`` gray, ``(H, W, 3)`` BGR; uint8 or uint16. It is not written to.
        tolerances: the largest changes.
        rng: decides; the same state gives the same picture. Every call draws equally many numbers from it.
        bits: significant bits of a uint16 picture, as in :class:`edgeirf.settings.Preprocess`.

    Returns:
        A new array of the shape and type of ``image``.
    """
    return draw(tolerances, rng)(image, bits)


def draw(tolerances: Tolerances, rng: np.random.Generator) -> Change:
    """The change of one picture."""
    light, gamma, angle, x, y = rng.uniform(-1, 1, 5).tolist()
    blur, noise, quality, jpeg = rng.uniform(0, 1, 4).tolist()
    worst = tolerances.jpeg_quality
    return Change(
        brightness=light * tolerances.brightness,
        gamma=gamma * tolerances.gamma,
        blur_px=blur * tolerances.blur_px,
        rotate_deg=angle * tolerances.rotate_deg,
        shift_x=x * tolerances.shift,
        shift_y=y * tolerances.shift,
        noise_levels=noise * tolerances.noise_levels,
        jpeg_quality=None if worst is None or jpeg >= JPEG_SHARE else round(worst + quality * (JPEG_BEST - worst)),
        noise_at=int(rng.integers(_POOL)),
    )


def _lit(image: Pixels, change: Change, white: float) -> Floats:
    if not (change.brightness or change.gamma):
        return image.astype(np.float32)
    table = np.arange(256 if image.dtype == np.uint8 else 65536, dtype=np.float64) / white * (1 + change.brightness)
    tones = (white * np.minimum(table, 1) ** (1 + change.gamma)).astype(np.float32)
    if image.dtype == np.uint8:
        return np.asarray(cv2.LUT(image, tones), np.float32)
    lit: Floats = tones[image]
    return lit


def _moved(values: Floats, change: Change) -> Floats:
    if not (change.rotate_deg or change.shift_x or change.shift_y):
        return values
    height, width = values.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), change.rotate_deg, 1.0)
    matrix[:, 2] += change.shift_x * width, change.shift_y * height
    moved = cv2.warpAffine(values, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def _blurred(values: Floats, sigma: float) -> Floats:
    if sigma < 0.1:  # the weight of a neighbour is below 1e-22
        return values
    side = 2 * int(np.ceil(3 * sigma)) + 1
    blurred = cv2.GaussianBlur(values, (side, side), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def _rounded(values: Floats, change: Change, kind: type[np.uint8] | type[np.uint16], white: float) -> Pixels:
    """Values and their noise as integers of the picture's type, none above white."""
    noise, levels = (_noise(values.shape, change.noise_at), change.noise_levels) if change.noise_levels else (values, 0)
    depth = cv2.CV_8U if kind == np.uint8 else cv2.CV_16U
    rounded: NDArray[Any] = cv2.addWeighted(values, 1, noise, levels * white / 255, 0, dtype=depth)
    return rounded if white == np.iinfo(kind).max else np.minimum(rounded, kind(white))


def _noise(shape: tuple[int, ...], at: int) -> Floats:
    """``shape`` normal values of the pool, from ``at`` on and around."""
    size = int(np.prod(shape))
    return np.resize(_pool(), at + size)[at:].reshape(shape)


@lru_cache(maxsize=1)
def _pool() -> Floats:
    pool = np.random.default_rng(0).standard_normal(_POOL, dtype=np.float32)
    pool.flags.writeable = False
    return pool


def _jpeg(image: Pixels, quality: int, white: float) -> Pixels:
    small = image if image.dtype == np.uint8 else np.rint(image * (255 / white)).astype(np.uint8)
    coded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR if image.ndim == 3 else cv2.IMREAD_GRAYSCALE)
    if decoded is None:  # cannot happen to what was just encoded
        raise RuntimeError("OpenCV cannot read the JPEG that it wrote")
    if image.dtype == np.uint8:
        return np.asarray(decoded, np.uint8)
    scaled: NDArray[np.uint16] = np.rint(decoded * (white / 255)).astype(np.uint16)
    return scaled
