"""The plain references against OpenCV, which the CPU runtime uses."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import references

from edgeirf.runtime.kernels import FORMATS
from edgeirf.runtime.pixel_format import to_bgr


@pytest.mark.parametrize("pixel_format", [name for name in FORMATS if name.startswith("bayer")])
@pytest.mark.parametrize("size", [(4, 4), (6, 10), (34, 50)])
def test_demosaicing(pixel_format: str, size: tuple[int, int]) -> None:
    frame = references.random_frame(pixel_format, *size)
    expected = to_bgr(frame, pixel_format)
    np.testing.assert_array_equal(references.demosaic(frame, FORMATS[pixel_format].order), expected)


def test_nv12() -> None:
    frame = references.random_frame("nv12", 34, 50)
    np.testing.assert_array_equal(references.nv12_to_bgr(frame), to_bgr(frame, "nv12"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("source", [(64, 96), (128, 64), (32, 32), (77, 150), (333, 481)])
def test_area_means(source: tuple[int, int], dtype: type) -> None:
    """OpenCV sums in float32: near a tie it may round the other way."""
    image = np.random.default_rng(1).integers(0, np.iinfo(dtype).max + 1, (*source, 3)).astype(dtype)
    expected = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).astype(int)
    differences = np.abs(references.area_means(image, (32, 32)) - expected)
    assert differences.max() <= 1
    assert (differences > 0).mean() < 0.01
