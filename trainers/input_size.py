"""The network input that fits the pictures: their aspect is kept, the short side has 256 pixels."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from edgeirf.errors import UsageError

SHORT_SIDE = 256
LONGEST_SIDE = 1024
STEP = 32
NEARLY_SQUARE = 1.2
"""Ratio of the sides up to which the input is square."""
MIXED = 1.5
"""Pictures whose aspects differ by more than this factor have no common one: the input is square."""


def choose_size(
    shapes: Sequence[tuple[int, int]],
    roi: tuple[int, int, int, int] | None = None,
    tiles: tuple[int, int] = (1, 1),
) -> tuple[int, int]:
    """The input size for pictures of these shapes.

    >>> choose_size([(1270, 500)])
    (640, 256)

    Args:
        shapes: ``(height, width)`` of the pictures.
        roi: ``(x, y, width, height)`` of what is inspected; None for the whole picture.
        tiles: ``(rows, columns)``.

    Returns:
        ``(height, width)`` of the input of one tile, multiples of 32.
    """
    aspects = _aspects(shapes, roi, tiles)
    aspect = median(aspects)
    if max(aspects) > MIXED * min(aspects) or 1 / NEARLY_SQUARE < aspect < NEARLY_SQUARE:
        return SHORT_SIDE, SHORT_SIDE
    long_side = min(round(SHORT_SIDE * max(aspect, 1 / aspect) / STEP) * STEP, LONGEST_SIDE)
    return (SHORT_SIDE, long_side) if aspect > 1 else (long_side, SHORT_SIDE)


def check_orientation(
    size: tuple[int, int],
    shapes: Sequence[tuple[int, int]],
    roi: tuple[int, int, int, int] | None = None,
    tiles: tuple[int, int] = (1, 1),
) -> None:
    """Passes a size whose long side is that of the pictures; arguments as of :func:`choose_size`.

    Raises:
        UsageError: it is not: width and height are most likely the wrong way round.
    """
    height, width = size
    aspects = _aspects(shapes, roi, tiles)
    wrong = min(aspects) > NEARLY_SQUARE if height > width else max(aspects) < 1 / NEARLY_SQUARE
    if height != width and wrong:
        raise UsageError(
            f"--size {width}x{height} does not fit the pictures: it is WIDTHxHEIGHT; did you mean {height}x{width}?"
        )


def _aspects(
    shapes: Sequence[tuple[int, int]], roi: tuple[int, int, int, int] | None, tiles: tuple[int, int]
) -> list[float]:
    areas = [(roi[3], roi[2])] if roi is not None else list(shapes)
    return [width / tiles[1] / (height / tiles[0]) for height, width in areas]


def cost(size: tuple[int, int]) -> float:
    """Computing time of an input of ``(height, width)``, relative to 256x256."""
    return size[0] * size[1] / SHORT_SIDE**2
