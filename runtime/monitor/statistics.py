"""What a frame's picture looks like in seven numbers, whatever the part: light, focus, noise, position.

They are read at the size of the network's input, which is what the detector sees, at most 65,536 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import crop
from edgeirf.settings import Preprocess

Gray = NDArray[np.float32]
Floats = NDArray[np.float64]

STATISTICS: Final = ("brightness", "contrast", "sharpness", "noise", "right", "down", "turn")
"""Logarithms of the mean, of the standard deviation, of fine detail against coarse detail, and of the quietest detail
(relative to white); shift to the right and down as a share of the side; the right half's shift down against that of the
left half."""
RESOLUTIONS: Final = (0.002, 0.002, 0.002, 0.005, 0.0005, 0.0005, 0.0005)
"""Differences that are worth telling apart, one for each statistic."""
PIXELS: Final = 65_536
_FLOOR: Final = 1e-4
"""Share of white: a fortieth of a level of 255."""


class FrameStatistics:
    """Computes the statistics of frames.

    >>> golden = np.zeros((2, 1, 64, 64, 3), np.uint8)
    >>> golden[:, :, 16:48, 16:48] = 200
    >>> measure = FrameStatistics(Preprocess(size=(64, 64)), golden)
    >>> frame = np.roll(golden[0, 0], 2, axis=1)
    >>> float(measure(frame)[STATISTICS.index("right")].round(2))
    0.03

    Args:
        settings: pre-processing of the bundle.
        golden: pictures of good parts, ``(n, T, height, width, 3)`` RGB: their mean says where the part lies.
    """

    def __init__(self, settings: Preprocess, golden: Pixels) -> None:
        self.settings = settings
        rows, columns = settings.tiles
        height, width = rows * settings.size[0], columns * settings.size[1]
        scale = min(1.0, math.sqrt(PIXELS / (height * width)))
        self.size = (max(16, round(width * scale) // 4 * 4), max(16, round(height * scale) // 4 * 4))
        half = self.size[0] // 2, self.size[1] // 2
        self._half = half
        self._window = cv2.createHanningWindow((half[0] // 2, half[1]), cv2.CV_32F)
        pictures = [whole_picture(one, settings) for one in golden]
        mean = np.mean([self._halved(self._gray(one)) for one in pictures], axis=0, dtype=np.float32)
        self._template = self._sides(np.asarray(mean, np.float32))

    def __call__(self, frame: Pixels) -> Floats:
        """The statistics of a frame, in the order of :data:`STATISTICS`.

        Args:
            frame: ``(H, W, 3)`` BGR or ``(H, W)`` gray, uint8 or uint16.

        Raises:
            FrameError: the frame does not cover the region of interest.
        """
        gray = self._gray(crop(frame, self.settings))
        half = self._halved(gray)
        fine = np.abs(np.asarray(cv2.Laplacian(gray, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE)))
        coarse = np.abs(np.asarray(cv2.Laplacian(half, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE)))
        mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(gray))
        sample = fine[::2, ::2].ravel()
        quiet = float(np.partition(sample, sample.size // 4)[sample.size // 4])
        logs = (mean, deviation, (float(fine.mean()) + _FLOOR) / (float(coarse.mean()) + _FLOOR), quiet)
        return np.array([*(math.log(value + _FLOOR) for value in logs), *self._position(half)])

    def _gray(self, picture: Pixels) -> Gray:
        """The picture at :attr:`size`, white is 1."""
        white = 255.0 if picture.dtype == np.uint8 else 2.0**self.settings.bits - 1.0
        small = cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA)
        if small.ndim == 3:
            small = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        return np.asarray(small, np.float32) * np.float32(1 / white)

    def _halved(self, gray: Gray) -> Gray:
        return np.asarray(cv2.resize(gray, self._half, interpolation=cv2.INTER_AREA), np.float32)

    def _sides(self, half: Gray) -> tuple[Gray, Gray]:
        middle = self._half[0] // 2
        return np.ascontiguousarray(half[:, :middle]), np.ascontiguousarray(half[:, middle : 2 * middle])

    def _position(self, half: Gray) -> tuple[float, float, float]:
        """Right, down, turn."""
        moves = []
        for picture, template in zip(self._sides(half), self._template, strict=True):
            (x, y), _ = cv2.phaseCorrelate(template, picture, self._window)
            moves.append((x / self._half[0], y / self._half[1]))
        (left_x, left_y), (right_x, right_y) = moves
        return (left_x + right_x) / 2, (left_y + right_y) / 2, right_y - left_y


def whole_picture(prepared: Pixels, settings: Preprocess) -> Pixels:
    """The tiles ``(T, height, width, 3)`` RGB of one picture, put together: ``(H, W, 3)`` BGR."""
    rows, columns = settings.tiles
    _, height, width, _ = prepared.shape
    tiled = prepared.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return np.ascontiguousarray(tiled.reshape(rows * height, columns * width, 3)[..., ::-1])


def mean_and_spread(values: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Median of statistics, and their spread as a standard deviation that odd pictures do not widen."""
    stack = np.stack(values)
    median: Floats = np.median(stack, axis=0)
    spread: Floats = 1.4826 * np.median(np.abs(stack - median), axis=0)
    return median, np.maximum(spread, RESOLUTIONS)
