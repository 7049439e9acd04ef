"""Raw cameras' pixels: the right colours in the right places, and nothing taken for what it is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgeirf.errors import FrameError, UsageError
from edgeirf.runtime.imaging.pixel_format import (
    PIXEL_FORMATS,
    check_frame,
    check_name,
    frame_shape,
    frame_size,
    from_bgr,
    is_raw,
    to_bgr,
)
from edgeirf.settings import PixelFormat

COLOUR = (30, 120, 210)  # blue, green, red
BT601 = {  # of that colour, limited range
    "luma": 16 + 0.257 * 210 + 0.504 * 120 + 0.098 * 30,
    "blue": 128 - 0.148 * 210 - 0.291 * 120 + 0.439 * 30,
    "red": 128 + 0.439 * 210 - 0.368 * 120 - 0.071 * 30,
}


def plain(pixel_format: PixelFormat, size: tuple[int, int]) -> np.ndarray:
    """A frame of one colour, written out by hand."""
    frame = np.zeros(frame_shape(size, pixel_format), np.uint16 if pixel_format.endswith("16") else np.uint8)
    if pixel_format == "nv12":
        frame[: size[0]] = round(BT601["luma"])
        frame[size[0] :, 0::2], frame[size[0] :, 1::2] = round(BT601["blue"]), round(BT601["red"])
    elif pixel_format.startswith("bayer"):
        for index, letter in enumerate(pixel_format[6:10]):
            frame[index // 2 :: 2, index % 2 :: 2] = COLOUR["bgr".index(letter)]
    elif pixel_format.startswith("gray"):
        frame[:] = COLOUR[1]
    else:
        frame[:] = COLOUR if pixel_format.startswith("bgr") else COLOUR[::-1]
    return frame


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_colours_come_out_as_they_are(pixel_format: PixelFormat) -> None:
    frame = plain(pixel_format, (8, 12))
    assert check_frame(frame, pixel_format) == pixel_format
    assert frame_size(frame, pixel_format) == (8, 12)
    converted = to_bgr(frame, pixel_format)
    expected = COLOUR if not pixel_format.startswith("gray") else COLOUR[1]
    assert converted.shape[:2] == (8, 12)
    assert converted.dtype == frame.dtype
    assert np.abs(converted.astype(int) - expected).max() <= (2 if pixel_format == "nv12" else 0)


@pytest.mark.parametrize("pixel_format", ["bayer_rggb8", "bayer_grbg8", "bayer_gbrg8", "bayer_bggr8"])
def test_the_name_of_a_colour_filter_begins_at_the_corner(pixel_format: PixelFormat) -> None:
    """A red and a blue dot where the name has them stay red and blue."""
    for letter, channel in (("r", 2), ("b", 0)):
        row, column = divmod(pixel_format[6:10].index(letter), 2)
        frame = np.zeros((8, 8), np.uint8)
        frame[4 + row, 4 + column] = 200
        pixel = to_bgr(frame, pixel_format)[4 + row, 4 + column]
        assert pixel.tolist() == [200 if index == channel else 0 for index in range(3)]


def test_what_needs_no_change_is_not_copied() -> None:
    frame = np.zeros((4, 4, 3), np.uint8)
    assert to_bgr(frame) is frame
    assert to_bgr(frame, "bgr8") is frame


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [((4, 5, 3), np.uint8, "bgr8"), ((4, 5, 3), np.uint16, "bgr16"), ((4, 5), np.uint8, "gray8"),
     ((4, 5, 1), np.uint16, "gray16")],
)  # fmt: skip
def test_bgr_and_gray_need_not_be_said(shape: tuple[int, ...], dtype: type, expected: str) -> None:
    assert check_frame(np.zeros(shape, dtype)) == expected


@pytest.mark.parametrize(
    ("frame", "pixel_format", "message"),
    [
        (np.zeros((8, 8, 3), np.uint8), "bayer_rggb8", "1 value of 8 bits a pixel, not 3 of 8"),
        (np.zeros((8, 8), np.uint16), "bayer_rggb8", "not 1 of 16"),
        (np.zeros((8, 8), np.uint8), "rgb8", "3 values of 8 bits a pixel, not 1 of 8"),
        (np.zeros((7, 8), np.uint8), "bayer_bggr8", "even sides"),
        (np.zeros((8, 2), np.uint8), "bayer_bggr8", "at least 4 pixels, not 2x8"),
        (np.zeros((8, 8), np.uint8), "nv12", r"\(3 H / 2, W\)"),
        (np.zeros((9, 8), np.uint8), "nv12", None),
        (np.zeros((9, 7), np.uint8), "nv12", "even sides of at least 4 pixels, not 7x6"),
        (np.zeros((15, 8), np.uint8), "nv12", None),
        (np.zeros((8, 8), np.float32), "bayer_rggb8", "uint8 or uint16"),
    ],
)
def test_a_frame_that_is_not_what_it_is_said_to_be(frame: np.ndarray, pixel_format: str, message: str | None) -> None:
    if message is None:
        assert check_frame(frame, pixel_format) == pixel_format
        return
    with pytest.raises(FrameError, match=message):
        check_frame(frame, pixel_format)


def test_unknown_formats_are_named() -> None:
    with pytest.raises(UsageError, match=r"no pixel format 'yuyv'.*bayer_rggb8.*nv12"):
        check_name("yuyv")
    assert [name for name in PIXEL_FORMATS if is_raw(name)] == [
        "bayer_rggb8", "bayer_grbg8", "bayer_gbrg8", "bayer_bggr8", "nv12"
    ]  # fmt: skip


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_a_picture_as_a_camera_would_give_it(pixel_format: PixelFormat) -> None:
    small = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    picture = cv2.resize(small, (61, 41), interpolation=cv2.INTER_CUBIC)
    frame = from_bgr(picture, pixel_format)
    assert check_frame(frame, pixel_format) == pixel_format
    back = to_bgr(frame, pixel_format) // (257 if pixel_format.endswith("16") else 1)
    expected = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if pixel_format.startswith("gray") else picture
    height, width = back.shape[:2]
    assert (height, width) == ((40, 60) if is_raw(pixel_format) else (41, 61))
    assert np.abs(back.astype(int) - expected[:height, :width]).mean() < (7 if is_raw(pixel_format) else 1e-9)
