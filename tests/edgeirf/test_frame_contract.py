"""A frame of another kind than the model knows is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.errors import UsageError
from edgeirf.frame_contract import FrameContract
from edgeirf.settings import PixelFormat, Preprocess

KNOWN = FrameContract(64, 48, 8, 3)
DEEP = FrameContract(64, 48, 12, 1, (16,))


@pytest.mark.parametrize(
    ("contract", "shape", "dtype", "pixel_format", "wrong"),
    [
        (KNOWN, (48, 64, 3), np.uint8, None, None),
        (KNOWN, (48, 64, 3), np.uint8, "rgb8", None),
        (KNOWN, (48, 64), np.uint8, "bayer_rggb8", None),
        (KNOWN, (72, 64), np.uint8, "nv12", None),
        (KNOWN, (64, 48, 3), np.uint8, None, "the frame is 48x64 pixels, the model knows 64x48"),
        (KNOWN, (48, 64, 3), np.uint16, None, "the frame has 16 bits a value, the model knows 8"),
        (KNOWN, (48, 64), np.uint8, None, "the frame is gray, the model knows frames in colour"),
        (KNOWN, (48, 64, 1), np.uint8, "gray8", "the frame is gray, the model knows frames in colour"),
        (DEEP, (48, 64), np.uint16, None, None),
        (DEEP, (48, 64), np.uint8, None, "the frame has 8 bits a value, the model knows 12"),
        (DEEP, (48, 64, 3), np.uint16, None, None),
    ],
)
def test_mismatches_are_named(
    contract: FrameContract, shape: tuple[int, ...], dtype: type, pixel_format: PixelFormat | None, wrong: str | None
) -> None:
    assert contract.mismatch(np.zeros(shape, dtype), pixel_format) == wrong


@pytest.mark.parametrize(("value", "fits"), [(4095, True), (4096, False), (65535, False)])
def test_a_value_above_white_is_another_depth(value: int, fits: bool) -> None:
    frame = np.zeros((48, 64), np.uint16)
    frame[3, 4] = value
    assert (DEEP.mismatch(frame) is None) == fits


def test_a_gray_model_takes_three_equal_channels_and_no_colour() -> None:
    gray = np.full((48, 64, 3), 90, np.uint8)
    assert FrameContract(64, 48, 8, 1).mismatch(gray) is None
    gray[..., 2] = 140
    assert FrameContract(64, 48, 8, 1).mismatch(gray) == "the frame is in colour, the model knows gray frames"


def test_several_sizes_leave_the_size_open() -> None:
    assert FrameContract(None, None, 8, 3).mismatch(np.zeros((7, 9, 3), np.uint8)) is None


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(2, 6))
def test_another_resolution_keeps_the_view(width: int, height: int, times: int) -> None:
    roi = (width // 3, height // 4, width // 3 + 1, height // 4 + 1)
    known = FrameContract(width, height, 8, 3)
    contract, settings = known.at(Preprocess(roi=roi), width * times, height * times)
    assert (contract.width, contract.height) == (width * times, height * times)
    assert settings.roi == tuple(times * side for side in roi)


@pytest.mark.parametrize("asked", [(640, 640), (480, 640), (0, 0), (64, 49)])
def test_another_view_is_refused(asked: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="another view"):
        FrameContract(640, 480, 8, 3).at(Preprocess(), *asked)
