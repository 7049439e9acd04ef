"""What a frame's picture looks like in seven numbers, whatever the part: light, focus, noise, position.

They are read at the size of the network's input, which is what the detector sees, at most 65,536 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

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
(relative to white); shift to the right and down as a share of the side; degrees of turn, counter-clockwise."""
RESOLUTIONS: Final = (0.002, 0.002, 0.002, 0.005, 0.0005, 0.0005, 0.02)
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
        self._half = self.size[0] // 2, self.size[1] // 2
        self._coarse = max(self.size[0] // 4, 32), max(self.size[1] // 4, 32)
        pictures = [self._shrunk(self._gray(whole_picture(one, settings)), self._coarse) for one in golden]
        self._align = _alignment(np.mean(pictures, axis=0, dtype=np.float64))

    def __call__(self, frame: Pixels) -> Floats:
        """The statistics of a frame, in the order of :data:`STATISTICS`.

        Args:
            frame: ``(H, W, 3)`` BGR or ``(H, W)`` gray, uint8 or uint16.

        Raises:
            FrameError: the frame does not cover the region of interest.
        """
        return self.of_whole(crop(frame, self.settings))

    def of_whole(self, picture: Pixels) -> Floats:
        """The statistics of the inspected area, ``(H, W, 3)`` BGR or ``(H, W)`` gray."""
        gray = self._gray(picture)
        half = self._shrunk(gray, self._half)
        fine = np.abs(np.asarray(cv2.Laplacian(gray, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE)))
        coarse = np.abs(np.asarray(cv2.Laplacian(half, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE)))
        mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(gray))
        sample = fine[::2, ::2].ravel()
        quiet = float(np.partition(sample, sample.size // 2)[: sample.size // 2].mean())
        logs = (mean, deviation, (float(fine.mean()) + _FLOOR) / (float(coarse.mean()) + _FLOOR), quiet)
        return np.array([*(math.log(value + _FLOOR) for value in logs), *self._position(half)])

    def step(self, height: int) -> int:
        """Of so many rows of an inspected area one is looked at: two for each row of :attr:`size` are enough.

        Reading all of a large frame takes longer than everything else. Fewer rows have more noise in their mean.
        """
        return max(1, height // (2 * self.size[1]))

    def _gray(self, picture: Pixels) -> Gray:
        """The picture at :attr:`size`, white is 1."""
        white = 255.0 if picture.dtype == np.uint8 else 2.0**self.settings.bits - 1.0
        picture = _halved(picture[:: self.step(picture.shape[0])], self.size)
        if picture.ndim == 3:  # before the last resizes, which then have a third of the work
            picture = picture[..., 0] if picture.shape[2] == 1 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)  # type: ignore[assignment]
        small = cv2.resize(_narrowed(picture, self.size[0]), self.size, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float32) * np.float32(1 / white)

    def _shrunk(self, gray: Gray, size: tuple[int, int]) -> Gray:
        return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.float32)

    def _position(self, half: Gray) -> tuple[float, float, float]:
        """Right, down, turn."""
        picture = self._shrunk(half, self._coarse).ravel().astype(np.float64)
        gain, _, right, down, turn = (self._align @ picture).tolist()
        gain = max(gain, 0.1)  # a picture that is not like the template has no position
        return right / gain, down / gain, turn / gain


def _alignment(template: Floats) -> Floats:
    """``(5, h * w)``: what gain, offset, shift right, shift down and turn of a template a picture ``(h * w,)`` shows.

    To first order, a template T that is moved by d is T - d . grad T, so these are the coefficients of a linear
    regression (Lucas and Kanade, 1981). The shift is a share of the side, the turn is in degrees.
    """
    height, width = template.shape
    by_row, by_column = np.gradient(template)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    about = np.radians(1) * (y * by_column - x * by_row)  # counter-clockwise: what is at the right goes up
    columns = (template, np.ones_like(template), -width * by_column, -height * by_row, -about)
    basis = np.stack([_blurred(column).ravel() for column in columns], axis=1)
    ridge = 1e-3 * np.diag(np.square(basis).sum(0)) + 1e-9 * np.eye(5)
    rows = np.linalg.solve(basis.T @ basis + ridge, basis.T).reshape(-1, height, width)
    # The picture must be as smooth as the basis. The blur is symmetric, so blurred rows read a blurred picture.
    return np.stack([_blurred(row).ravel() for row in rows.astype(np.float64)])


def _blurred(plane: Floats) -> Floats:
    """So smooth that a move of a few percent stays within the first order."""
    blurred = cv2.GaussianBlur(plane, (0, 0), max(plane.shape) / 50, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred, np.float64)


def _halved(picture: Pixels, size: tuple[int, int]) -> Pixels:
    """The picture halved as often as it is more than twice as large: many times as fast as by any other factor."""
    while min(picture.shape[1] // size[0], picture.shape[0] // size[1]) >= 2:
        height, width = picture.shape[0] // 2, picture.shape[1] // 2
        even = picture[: 2 * height, : 2 * width]
        picture = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return picture


def _narrowed(picture: Pixels, width: int) -> Pixels:
    """The picture halved in width as often as it is more than twice as wide; its rows stay."""
    while picture.shape[1] >= 2 * width:
        half = picture.shape[1] // 2
        even = picture[:, : 2 * half]  # linear in the middle between two pixels: their mean
        picture = cv2.resize(even, (half, picture.shape[0]), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    return picture


def whole_picture(prepared: Pixels, settings: Preprocess) -> Pixels:
    """The tiles ``(T, height, width, 3)`` RGB of one picture, put together: ``(H, W, 3)`` BGR."""
    rows, columns = settings.tiles
    _, height, width, _ = prepared.shape
    tiled = prepared.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    whole: NDArray[Any] = np.ascontiguousarray(tiled.reshape(rows * height, columns * width, 3)[..., ::-1])
    return whole


def mean_and_spread(values: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Median of statistics, and their spread as a standard deviation that odd pictures do not widen."""
    stack = np.stack(values)
    median: Floats = np.median(stack, axis=0)
    low, high = np.quantile(stack, (0.1, 0.9), axis=0)
    return median, np.maximum((high - low) / 2.563, RESOLUTIONS)  # 2.563: of a normal distribution
