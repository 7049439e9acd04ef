"""How much a line may change a picture before the part counts as changed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from edgeirf.errors import UsageError

JPEG_SHARE: Final = 0.5
"""Share of pictures that are saved as JPEG, where JPEG is tolerated at all."""
JPEG_BEST: Final = 98
"""Qualities are drawn from the tolerated one up to this one."""


@dataclass(frozen=True)
class Tolerances:
    """Largest change of each kind; changes are drawn evenly up to it, in both directions where there are two.

    >>> Tolerances.parse("light=5%,blur=0").to_text()
    'light=5%,blur=0px,rotate=1deg,shift=1.5%,noise=3,jpeg=70'

    Attributes:
        brightness: relative change of the light; 0.08 is 8 % darker or brighter.
        gamma: relative change of the exponent of the tone curve.
        blur_px: standard deviation of a Gaussian blur, pixels of the frame.
        rotate_deg: rotation around the centre, degrees.
        shift: share of the width and of the height.
        noise_levels: standard deviation of the noise of each value, levels of 255.
        jpeg_quality: worst quality of JPEG, 1 to 98; :data:`JPEG_SHARE` of the pictures become JPEG. None: none does.
    """

    brightness: float = 0.08
    gamma: float = 0.08
    blur_px: float = 0.8
    rotate_deg: float = 1.0
    shift: float = 0.015
    noise_levels: float = 3.0
    jpeg_quality: int | None = 70

    def __post_init__(self) -> None:
        for name, (largest, unit) in _LARGEST.items():
            amount = getattr(self, name)
            if not (math.isfinite(amount) and 0 <= amount <= largest):
                raise UsageError(f"{name} is {amount:g}: a tolerance lies between 0 and {largest:g}{unit}")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= JPEG_BEST:
            raise UsageError(f"jpeg_quality is {self.jpeg_quality}: it lies between 1 and {JPEG_BEST}")

    @classmethod
    def none(cls) -> Tolerances:
        """No change at all."""
        return cls(0, 0, 0, 0, 0, 0, None)

    @classmethod
    def parse(cls, text: str) -> Tolerances:
        """Reads ``light=8%,blur=0.8px,rotate=1deg,shift=1.5%,noise=3,jpeg=70``; units may be left out, ``%`` may not.

        What the text does not name keeps its default. ``off`` is no change at all, and ``off,noise=3`` is only noise.
        ``light`` is brightness and gamma; ``brightness`` and ``gamma`` name one of them. ``jpeg=off`` allows no JPEG.

        Raises:
            UsageError: an unknown name, an unreadable amount, or an amount out of range.
        """
        first, *rest = (word.strip().lower() for word in text.split(","))
        start, words = (cls.none(), rest) if first == "off" else (cls(), [first, *rest])
        changes: dict[str, float | int | None] = {}
        for word in words:
            if word == "default" and word == first:
                continue
            name, _, amount = (part.strip() for part in word.partition("="))
            if name == "jpeg":
                changes["jpeg_quality"] = None if amount == "off" else _quality(word, amount)
                continue
            if name not in _WORDS:
                raise UsageError(f"unknown tolerance {word!r}: write {EXAMPLE}, or off")
            for field in _WORDS[name].fields:
                changes[field] = _amount(word, amount, _WORDS[name].unit)
        return replace(start, **changes)  # type: ignore[arg-type]  # each field has the type of its reader

    def to_text(self) -> str:
        """What :meth:`parse` reads as these tolerances, to twelve digits."""
        if self == Tolerances.none():
            return "off"
        light = ["light"] if self.brightness == self.gamma else ["brightness", "gamma"]
        words = [self._word(name) for name in (*light, "blur", "rotate", "shift", "noise")]
        return ",".join([*words, f"jpeg={self.jpeg_quality or 'off'}"])

    def _word(self, name: str) -> str:
        word = _WORDS[name]
        scale = 100 if word.unit == "%" else 1
        return f"{name}={getattr(self, word.fields[0]) * scale:.12g}{word.unit}"


@dataclass(frozen=True)
class _Word:
    """What a name in the text sets, and its unit."""

    unit: str
    fields: tuple[str, ...]


EXAMPLE: Final = "light=8%,blur=0.8px,rotate=1deg,shift=1.5%,noise=3,jpeg=70"
_WORDS: Final = {
    "light": _Word("%", ("brightness", "gamma")),
    "brightness": _Word("%", ("brightness",)),
    "gamma": _Word("%", ("gamma",)),
    "blur": _Word("px", ("blur_px",)),
    "rotate": _Word("deg", ("rotate_deg",)),
    "shift": _Word("%", ("shift",)),
    "noise": _Word("", ("noise_levels",)),
}
_LARGEST: Final = {
    "brightness": (0.9, ""),
    "gamma": (0.9, ""),
    "blur_px": (50.0, " px"),
    "rotate_deg": (180.0, " degrees"),
    "shift": (1.0, ""),
    "noise_levels": (128.0, ""),
}


def _amount(word: str, text: str, unit: str) -> float:
    bare = text.removesuffix(unit).strip() if unit else text
    try:
        amount = float(bare)
    except ValueError:
        raise UsageError(f"cannot read the tolerance {word!r}: write {EXAMPLE}, or off") from None
    if unit == "%":
        if amount and not text.endswith("%"):
            raise UsageError(f"the tolerance {word!r} has no unit: write {word}%")
        amount /= 100
    return amount


def _quality(word: str, text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"cannot read the tolerance {word!r}: a JPEG quality is a whole number, jpeg=70, or jpeg=off")
    return int(text)
