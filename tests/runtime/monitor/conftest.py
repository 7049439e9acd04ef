from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeirf.runtime.monitor.statistics import FrameStatistics
from edgeirf.settings import Preprocess

Picture = NDArray[np.uint8]


def part(seed: int, size: int = 64) -> Picture:
    """A good part, ``(size, size, 3)`` BGR: a bright shape on gray, with a texture, sensor noise and a little play."""
    rng = np.random.default_rng(seed)
    picture = np.full((size, size), 90.0)
    picture += 12 * np.sin(np.arange(size) / 1.7) * np.cos(np.arange(size) / 2.3)[:, None]
    x, y = (0.25 * size + rng.normal(0, 0.004 * size, 2)).tolist()
    box = np.array([[x, y], [x + 0.5 * size, y + 0.1 * size], [x + 0.3 * size, y + 0.5 * size]])
    shape = np.zeros((size, size), np.uint8)
    cv2.fillPoly(shape, [np.round(box * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    noisy = (picture + shape / 255 * (170 - picture)) * (1 + rng.normal(0, 0.01)) + rng.normal(0, 1.5, (size, size))
    return np.repeat(np.clip(np.round(noisy), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture(scope="session")
def good_part() -> Callable[..., Picture]:
    """``good_part(seed, size)``; see :func:`part`."""
    return part


@pytest.fixture(scope="session")
def measure() -> FrameStatistics:
    """Statistics of 64x64 pictures."""
    return FrameStatistics(Preprocess(size=(64, 64)), np.stack([part(1000 + i)[None] for i in range(4)]))
