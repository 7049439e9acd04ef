"""A frame of another kind than the model knows is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.frame_contract import FrameContract, describe
from edgeirf.settings import PixelFormat

KNOWN = FrameContract(64, 48, 8, 3)
DEEP = FrameContract(64, 48, 12, 1)


@pytest.mark.parametrize(
    ("contract", "shape", "dtype", "pixel_format", "wrong"),
    [
        (KNOWN, (48, 64, 3), np.uint8, None, None),
        (KNOWN, (48, 64, 3), np.uint8, "rgb8", None),
        (KNOWN, (48, 64), np.uint8, "bayer_rggb8", None),
        (KNOWN, (72, 64), np.uint8, "nv12", None),
        (KNOWN, (64, 48, 3), np.uint8, None, "the frame is 48x64 pixels, the model knows 64x48"),
        (KNOWN, (48, 64, 3), np.uint16, None, "the frame has 16 bits a value, the model knows 8"),
        (KNOWN, (48, 64), np.uint8, None, "the frame is gray, the model knows in colour"),
        (KNOWN, (48, 64, 1), np.uint8, "gray8", "the frame is gray, the model knows in colour"),
        (DEEP, (48, 64), np.uint16, None, None),
        (DEEP, (48, 64), np.uint8, None, "the frame has 8 bits a value, the model knows 12"),
        (DEEP, (48, 64, 3), np.uint16, None, "the frame is in colour, the model knows gray"),
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


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]), st.sampled_from([np.uint8, np.uint16]))
def test_a_frame_fulfils_its_own_contract_and_no_other(width: int, height: int, channels: int, dtype: type) -> None:
    frame = np.zeros((height, width, channels), dtype)
    own = describe(frame)
    assert own.mismatch(frame) is None
    for other in (
        FrameContract(width + 1, height, own.bits, channels),
        FrameContract(width, height, 24 - own.bits, channels),
        FrameContract(width, height, own.bits, 4 - channels),
    ):
        assert other.mismatch(frame)
