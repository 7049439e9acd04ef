"""The plain references against OpenCV, which the CPU runtime uses."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import references

from edgeirf.runtime.imaging.pixel_format import to_bgr
from edgeirf.runtime.imaging.resize import resize
from edgeirf.runtime.kernels import FORMATS


@pytest.mark.parametrize("pixel_format", [name for name in FORMATS if name.startswith("bayer")])
@pytest.mark.parametrize("size", [(4, 4), (6, 10), (34, 50)])
def test_demosaicing(pixel_format: str, size: tuple[int, int]) -> None:
    frame = references.random_frame(pixel_format, *size)
    expected = to_bgr(frame, pixel_format)
    np.testing.assert_array_equal(references.demosaic(frame, FORMATS[pixel_format].order), expected)


def test_nv12() -> None:
    frame = references.random_frame("nv12", 34, 50)
    np.testing.assert_array_equal(references.nv12_to_bgr(frame), to_bgr(frame, "nv12"))


@pytest.mark.parametrize("source", [(64, 96), (128, 64), (32, 32), (40, 96), (224, 160), (77, 150), (333, 481)])
def test_area_means_of_16_bits(source: tuple[int, int]) -> None:
    """Exact where an area has few shares; else OpenCV's float32 sums are one of 65536 levels off now and then."""
    image = np.random.default_rng(1).integers(0, 65536, (*source, 3)).astype(np.uint16)
    differences = np.abs(references.area_means(image, (32, 32)) - resize(image, (32, 32)).astype(int))
    few = math.prod(side // math.gcd(side, 32) for side in source) <= 64
    assert differences.max() <= (0 if few else 1)
    assert (differences > 0).mean() < 0.01


CAMERAS = [
    (480, 640),
    (768, 1024),
    (1024, 1280),
    (1200, 1920),
    (1088, 2048),
    (400, 448),
    (512, 512),
    (480, 360),
    (331, 525),
    (357, 362),
]


@pytest.mark.parametrize("size", [256, 224, 320])
@pytest.mark.parametrize("camera", CAMERAS)
def test_area_means_of_8_bits_are_exact(camera: tuple[int, int], size: int) -> None:
    image = np.random.default_rng(1).integers(0, 256, camera, dtype=np.uint8)
    wrong = references.area_means(image, (size, size)) != resize(image, (size, size))
    shares = math.prod(side // math.gcd(side, size) for side in camera)
    assert wrong.mean() <= (0 if shares <= 1024 or image.size <= 2**20 else 1 / shares)


@pytest.mark.parametrize("source", [(331, 525, 3), (258, 599, 1), (267, 607), (33, 3001), (1000, 40, 3), (57, 57)])
@pytest.mark.parametrize("levels", [256, 2])
def test_doubtful_pixels_are_looked_at_again(source: tuple[int, ...], levels: int) -> None:
    """Sizes of which an area has tens of thousands of shares; two levels make many means that are nearly half-way."""
    image = np.random.default_rng(2).integers(0, levels, source, dtype=np.uint8) * (255 // (levels - 1))
    exact = references.area_means(image, (32, 32))
    np.testing.assert_array_equal(resize(image, (32, 32)).reshape(exact.shape), exact)


def test_whole_numbers_of_pixels() -> None:
    """Scales at which OpenCV's own rounding of ties is right, and those at which it is not."""
    rng = np.random.default_rng(0)
    wrong = 0
    for down in range(1, 16):
        for right in range(1, 16):
            image = rng.integers(0, 256, (32 * down, 64 * right), dtype=np.uint8)
            exact = references.area_means(image, (32, 64))
            np.testing.assert_array_equal(resize(image, (64, 32)), exact)
            wrong += int((cv2.resize(image, (64, 32), interpolation=cv2.INTER_AREA) != exact).any())
    assert wrong > 10
