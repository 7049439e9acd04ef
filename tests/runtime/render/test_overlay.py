"""Heat maps over frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgeirf.runtime.render.overlay import OPACITY, overlay, to_bgr8
from edgeirf.verdict import Region

BLACK = np.zeros((40, 60, 3), np.uint8)


def full(value: float) -> np.ndarray:
    return np.full((40, 60), value, np.float32)


@pytest.mark.parametrize("threshold", [1e-3, 0.7, 15.0, 4000.0])
def test_the_threshold_is_one_colour_whatever_it_is(threshold: float) -> None:
    middle = cv2.applyColorMap(np.array([[128]], np.uint8), cv2.COLORMAP_TURBO)[0, 0]
    shown = overlay(BLACK, full(threshold), threshold)[0, 0]
    np.testing.assert_allclose(shown, middle * OPACITY / 2, atol=1)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.7])
def test_the_part_is_clear_where_the_map_is_low(value: float) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    np.testing.assert_array_equal(overlay(frame, full(10 * value), 10.0), frame)


def test_red_grows_and_ends() -> None:
    ratios = [1, 2, 4, 6, 8, 100, 1e30]
    reds = [overlay(BLACK, full(ratio), 1.0)[0, 0].astype(int) for ratio in ratios]
    assert reds[3][2] > reds[0][2] + 20
    assert reds[3][1] < reds[0][1]
    np.testing.assert_array_equal(reds[4], reds[6])


@pytest.mark.parametrize(
    "frame",
    [BLACK, BLACK[..., 0], BLACK[..., :1], BLACK.astype(np.uint16), BLACK[..., 0].astype(np.uint16)],
    ids=["colour", "gray", "gray1", "colour16", "gray16"],
)
def test_every_frame_gives_a_colour_picture_and_stays_as_it_was(frame: np.ndarray) -> None:
    before = frame.copy()
    shown = overlay(frame, full(5.0), 1.0, [Region(10, 5, 20, 10, 200, 5.0)])
    assert shown.shape == (40, 60, 3)
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize(("white", "bits"), [(4095, 12), (1023, 10), (65535, 16), (200, 8)])
def test_sixteen_bits_are_scaled_by_what_they_use(white: int, bits: int) -> None:
    frame = np.array([[0, white]], np.uint16)
    assert to_bgr8(frame)[0, :, 0].tolist() == [0, white >> (bits - 8)]


def test_regions_are_outlined_also_at_the_edge() -> None:
    shown = overlay(BLACK, full(0.0), 1.0, [Region(10, 5, 20, 10, 200, 5.0), Region(0, 0, 60, 40, 9, 1.0)])
    assert shown[5, 20].min() > 200
    assert shown[14, 29].min() > 200
    assert shown[0, 0].min() > 200
    assert shown[9, 19].max() == 0


def test_a_threshold_of_zero_is_no_error() -> None:
    assert overlay(BLACK, full(1.0), 0.0).shape == BLACK.shape
