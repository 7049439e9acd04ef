from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeirf.errors import FrameError
from edgeirf.runtime.imaging.preprocess import cut, inspected_area, normalise, prepare
from edgeirf.runtime.imaging.resize import resize
from edgeirf.settings import Preprocess


def pixels(height: int, width: int, *, channels: int = 3, dtype: Any = np.uint8, white: int = 255) -> NDArray[Any]:
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(height * width).integers(0, white + 1, shape).astype(dtype)


def area_weights(source: int, target: int) -> NDArray[np.float64]:
    """``(target, source)``: the share of each source pixel in each target pixel, rows sum to 1."""
    edges = np.arange(target + 1) * source / target
    starts = np.arange(source)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return np.clip(overlap, 0, None) / (source / target)


def area_resize(image: NDArray[Any], height: int, width: int) -> NDArray[np.float64]:
    """Exact area average in float64, of ``(H, W, C)``, not rounded."""
    rows, columns = area_weights(image.shape[0], height), area_weights(image.shape[1], width)
    tall: NDArray[np.float64] = np.tensordot(rows, image.astype(np.float64), 1)
    return np.tensordot(columns, tall, (1, 1)).swapaxes(0, 1)


# (height, width) of the frame: whole and broken ratios, odd, one side equal, as small as the input
SIZES = [(64, 64), (128, 192), (900, 900), (67, 129), (101, 64), (333, 77), (64, 65)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 4095), (np.uint16, 65535)])
def test_resize_is_the_average_of_areas(size: tuple[int, int], dtype: Any, white: int) -> None:
    frame = pixels(*size, dtype=dtype, white=white)
    prepared = prepare(frame, Preprocess(size=(64, 64), bits=16))
    assert prepared.dtype == dtype
    assert prepared.shape == (1, 64, 64, 3)
    exact = area_resize(frame[..., ::-1], 64, 64)
    # Rounded to an integer: 0.5; OpenCV accumulates in float32, which costs 65535 a few hundredths more.
    np.testing.assert_allclose(prepared[0], exact, rtol=0, atol=0.5 + 1e-6 * white)


def exact_means(tile: NDArray[np.uint8], rows: int, columns: int) -> tuple[NDArray[np.int64], int]:
    """Means over areas in whole numbers, half-way to the even one; and how many lie half-way."""
    height, width = tile.shape
    down, across = (
        np.rint(area_weights(source, target) * source).astype(np.int64)
        for source, target in ((height, rows), (width, columns))
    )
    whole, rest = np.divmod(down @ tile.astype(np.int64) @ across.T, height * width)
    half = 2 * rest == height * width
    return whole + ((2 * rest > height * width) | (half & (whole % 2 == 1))), int(half.sum())


# (height, width) to (rows, columns): thirds, doubtful means that are looked at again, whole areas
@pytest.mark.parametrize(("source", "target"), [((6, 4), (3, 3)), ((50, 100), (49, 99)), ((12, 12), (3, 2))])
def test_means_half_way_between_two_numbers_go_to_the_even_one(
    source: tuple[int, int], target: tuple[int, int]
) -> None:
    ties = 0
    for seed in range(60):
        tile = np.random.default_rng(seed).integers(0, 4, source, dtype=np.uint8)
        expected, half_way = exact_means(tile, *target)
        np.testing.assert_array_equal(resize(tile, target[::-1]), expected)
        ties += half_way
    assert ties > 20


def test_a_frame_smaller_than_the_input_is_enlarged_between_its_extremes() -> None:
    frame = np.full((20, 30, 3), 7, np.uint8)
    assert (prepare(frame, Preprocess(size=(64, 64))) == 7).all()


def test_colours_arrive_as_rgb() -> None:
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[:] = (10, 20, 30)  # blue, green, red
    assert prepare(frame, Preprocess(size=(64, 64)))[0, 5, 5].tolist() == [30, 20, 10]


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 1)])
def test_gray_is_repeated(shape: tuple[int, ...]) -> None:
    frame = pixels(64, 64, channels=0).reshape(shape)
    prepared = prepare(frame, Preprocess(size=(64, 64)))
    for channel in range(3):
        np.testing.assert_array_equal(prepared[0, ..., channel], frame.reshape(64, 64))


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535)])
def test_gray_models_take_the_luminance(dtype: Any, white: int) -> None:
    """ITU-R BT.601 weights, as everywhere in OpenCV."""
    frame = pixels(64, 64, dtype=dtype, white=white)
    prepared = prepare(frame, Preprocess(size=(64, 64), color="gray"))
    luminance = frame.astype(np.float64) @ (0.114, 0.587, 0.299)
    assert (prepared[..., 0] == prepared[..., 1]).all()
    assert (prepared[..., 1] == prepared[..., 2]).all()
    np.testing.assert_allclose(prepared[0, ..., 0], luminance, rtol=0, atol=0.5 + 3e-5 * white)


@pytest.mark.parametrize(
    ("dtype", "bits", "white"),
    [(np.uint8, 8, 255), (np.uint8, 12, 255), (np.uint16, 12, 4095), (np.uint16, 10, 1023), (np.uint16, 16, 65535)],
)
def test_normalise_against_float64(dtype: Any, bits: int, white: int) -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    prepared = pixels(64, 96, dtype=dtype, white=white)[None]
    planes = normalise(prepared, Preprocess(size=(64, 96), bits=bits, mean=mean, std=std))
    assert planes.dtype == np.float32
    assert planes.flags.c_contiguous
    exact = (prepared.astype(np.float64) / white - mean) / std
    np.testing.assert_allclose(planes, exact.transpose(0, 3, 1, 2), rtol=0, atol=1e-6)


def test_black_and_white_are_the_ends() -> None:
    ends = np.array([0, 4095], np.uint16).reshape(1, 1, 2, 1).repeat(3, axis=3)
    assert normalise(ends, Preprocess(bits=12)).reshape(3, 2).tolist() == [[-1.0, 1.0]] * 3


def test_region_of_interest_and_tiles_together() -> None:
    """Tile (row 1, column 2) of the region of interest is that part of the frame and nothing else."""
    frame = pixels(300, 400)
    settings_ = Preprocess(size=(32, 64), roi=(11, 23, 301, 201), tiles=(2, 3))
    prepared = prepare(frame, settings_)
    assert prepared.shape == (6, 32, 64, 3)
    region = frame[23 : 23 + 201, 11 : 11 + 301]
    tile = region[100:201, 200:301]  # 201 * 1 // 2 .. 201, 301 * 2 // 3 .. 301
    np.testing.assert_allclose(prepared[5], area_resize(tile[..., ::-1], 32, 64), rtol=0, atol=0.501)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 8), st.integers(1, 8))
@settings(max_examples=80, deadline=None)
def test_tiles_cover_every_pixel_once(height: int, width: int, rows: int, columns: int) -> None:
    image = np.arange(height * width, dtype=np.uint16).reshape(height, width)
    if height < rows or width < columns:
        with pytest.raises(FrameError, match="cannot be cut"):
            cut(image, (rows, columns))
        return
    tiles = cut(image, (rows, columns))
    assert len(tiles) == rows * columns
    assert sorted(np.concatenate([tile.ravel() for tile in tiles])) == list(range(height * width))
    heights, widths = {tile.shape[0] for tile in tiles}, {tile.shape[1] for tile in tiles}
    assert max(heights) - min(heights) <= 1
    assert max(widths) - min(widths) <= 1


@pytest.mark.parametrize("roi", [(0, 0, 65, 64), (0, 1, 64, 64), (60, 60, 5, 4), (1000, 0, 1, 1)])
def test_a_frame_that_does_not_cover_the_region(roi: tuple[int, int, int, int]) -> None:
    with pytest.raises(FrameError, match=r"64x64 pixels and does not cover .* set the camera"):
        prepare(pixels(64, 64), Preprocess(size=(32, 32), roi=roi))


def test_inspected_area() -> None:
    assert inspected_area((30, 40, 3), Preprocess()) == (0, 0, 40, 30)
    assert inspected_area((30, 40), Preprocess(roi=(5, 6, 7, 8))) == (5, 6, 7, 8)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(np.zeros((64, 64, 3), np.float32), id="float"),
        pytest.param(np.zeros((64, 64, 3), np.int16), id="signed"),
        pytest.param(np.zeros((64, 64, 3), ">u2"), id="other byte order"),
        pytest.param(np.zeros((64, 64, 3), bool), id="bool"),
        pytest.param(np.zeros((64, 64, 4), np.uint8), id="alpha"),
        pytest.param(np.zeros((64, 64, 2), np.uint8), id="two channels"),
        pytest.param(np.zeros((1, 64, 64, 3), np.uint8), id="batch"),
        pytest.param(np.zeros(64, np.uint8), id="one dimension"),
        pytest.param(np.zeros((0, 64, 3), np.uint8), id="no rows"),
        pytest.param(np.zeros((64, 0), np.uint8), id="no columns"),
        pytest.param(None, id="None, as cv2.imread gives for a missing file"),
        pytest.param([[1, 2], [3, 4]], id="list"),
        pytest.param(np.array([["a"]]), id="text"),
    ],
)
def test_what_is_no_frame(frame: Any) -> None:
    with pytest.raises(FrameError, match=r"^a frame is ") as caught:
        prepare(frame, Preprocess(size=(64, 64)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda f: f[::-1, ::-1], id="turned"),
        pytest.param(lambda f: f[:, :, ::-1], id="channels swapped"),
        pytest.param(lambda f: f[::2, ::3], id="every other"),
        pytest.param(lambda f: f.transpose(1, 0, 2), id="transposed"),
        pytest.param(lambda f: np.asfortranarray(f), id="Fortran order"),
        pytest.param(lambda f: f[..., :1], id="one channel of three"),
    ],
)
@pytest.mark.parametrize("tiles", [(1, 1), (2, 2)])
def test_any_memory_layout_gives_the_same_pixels(view: Any, tiles: tuple[int, int]) -> None:
    frame = pixels(192, 192)
    frame.setflags(write=False)
    settings_ = Preprocess(size=(32, 32), tiles=tiles)
    np.testing.assert_array_equal(prepare(view(frame), settings_), prepare(view(frame).copy(order="C"), settings_))


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_thin_frames_are_inspected_too(size: tuple[int, int]) -> None:
    assert prepare(pixels(*size), Preprocess(size=(32, 32))).shape == (1, 32, 32, 3)
