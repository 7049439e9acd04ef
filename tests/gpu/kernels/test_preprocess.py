"""The pre-processing kernels on the CPU, against whole-number references and against the CPU runtime.

Where a tile is reduced, the kernel's pixels are the exact means. Those of 8 bits are the CPU runtime's, bit for bit; of
16 bits, OpenCV's float32 sums round under 1 % to the next of 65536 levels. Where a tile is enlarged, they are the same.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import references
from numpy.typing import NDArray
from shim import build
from shim.device import ORDERS, Order, Shim, allocate

from edgeirf.runtime.imaging.pixel_format import to_bgr
from edgeirf.runtime.imaging.preprocess import normalise, prepare
from edgeirf.runtime.kernels import FORMATS, InputLayout, PixelFormat, input_view, plan_preprocess
from edgeirf.runtime.kernels.network_input import LAYOUTS
from edgeirf.settings import Preprocess

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="needs g++ to run the kernels on the CPU")

SMALL = Preprocess(size=(32, 64))
REDUCED = {
    "whole frame": (SMALL, (101, 207)),
    "same size": (SMALL, (32, 64)),
    "halved": (SMALL, (64, 128)),
    "whole factors": (SMALL, (128, 192)),
    "one axis": (SMALL, (32, 130)),
    "region at the frame's rim": (Preprocess(size=(32, 64), roi=(57, 30, 150, 71)), (101, 207)),
    "tiles of two sizes": (Preprocess(size=(32, 32), tiles=(2, 3)), (101, 207)),
    "gray model": (Preprocess(size=(32, 64), color="gray", mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25)), (70, 131)),
    "one column a block": (Preprocess(size=(32, 32)), (34, 3001)),
}
ENLARGED = {
    "smaller frame": (SMALL, (20, 30)),
    "one pixel": (Preprocess(size=(32, 32), roi=(5, 7, 1, 1)), (20, 30)),
    "wide and low": (SMALL, (20, 300)),
    "narrow and high": (SMALL, (200, 30)),
    "region": (Preprocess(size=(32, 64), roi=(3, 1, 40, 19), color="gray"), (20, 64)),
    "tiles above and below the size": (Preprocess(size=(32, 32), tiles=(1, 2)), (40, 63)),
    "a whole number that OpenCV's doubles miss": (Preprocess(size=(256, 256)), (303, 186)),
    "missed in the reduced axis": (Preprocess(size=(256, 256)), (246, 372)),
}


@pytest.fixture(scope="module")
def shim() -> Shim:
    return Shim(build.library())


def run(
    shim: Shim,
    frame: NDArray,
    pixel_format: PixelFormat,
    settings: Preprocess,
    size: tuple[int, int],
    layout: InputLayout,
) -> NDArray:
    plan = plan_preprocess(settings, size, pixel_format, layout)
    buffers = allocate(plan, frame=references.pitched(frame, int(plan.args["pitch"])))
    shim.launch(plan, buffers)
    return input_view(buffers["output"], (settings.tiles[0] * settings.tiles[1], 3, *settings.size), layout)


def even(size: tuple[int, int], pixel_format: PixelFormat) -> tuple[int, int]:
    """Bayer and NV12 frames have even sides."""
    odd = FORMATS[pixel_format].source in ("bayer8", "nv12")
    return (size[0] + size[0] % 2, size[1] + size[1] % 2) if odd else size


@pytest.mark.parametrize("case", REDUCED)
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_reducing_gives_the_exact_means(shim: Shim, pixel_format: PixelFormat, case: str) -> None:
    settings, size = REDUCED[case]
    size = even(size, pixel_format)
    frame = references.random_frame(pixel_format, *size)
    bgr = to_bgr(frame, pixel_format)
    found = run(shim, frame, pixel_format, settings, size, "float32")
    np.testing.assert_array_equal(found, references.expected_input(bgr, settings))
    differences = np.abs(found - normalise(prepare(bgr, settings), settings))
    if bgr.dtype == np.uint8:
        assert differences.max() == 0  # the CPU runtime's, bit for bit
    else:  # OpenCV's float32 sums may cross to the next of 65536 levels
        assert differences.max() <= 1.01 / (2**settings.bits - 1) / min(settings.std)
        assert (differences > 0).mean() < 0.01


@pytest.mark.parametrize("case", ENLARGED)
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_enlarging_gives_the_cpu_runtime_bit_for_bit(shim: Shim, pixel_format: PixelFormat, case: str) -> None:
    settings, size = ENLARGED[case]
    size = even(size, pixel_format)
    frame = references.random_frame(pixel_format, *size)
    expected = normalise(prepare(to_bgr(frame, pixel_format), settings), settings)
    np.testing.assert_array_equal(run(shim, frame, pixel_format, settings, size, "float32"), expected)


@pytest.mark.parametrize("pixel_format", ["bgr8", "gray16", "bayer_grbg8", "nv12"])
@pytest.mark.parametrize("settings", [SMALL, Preprocess(size=(64, 128)), Preprocess(size=(32, 32), tiles=(1, 2))])
def test_float16_is_float32_rounded(shim: Shim, pixel_format: PixelFormat, settings: Preprocess) -> None:
    frame = references.random_frame(pixel_format, 60, 100)
    wide, planes, pixels = (run(shim, frame, pixel_format, settings, (60, 100), layout) for layout in LAYOUTS)
    np.testing.assert_array_equal(planes, wide.astype(np.float16))
    np.testing.assert_array_equal(pixels, planes)


@pytest.mark.parametrize("pixel_format", ["bgr8", "bgr16", "bayer_rggb8", "nv12"])
def test_the_order_of_threads_and_blocks_does_not_matter(pixel_format: PixelFormat) -> None:
    settings, size = Preprocess(size=(32, 64), tiles=(1, 2)), (72, 240)
    frame = references.random_frame(pixel_format, *size)

    def result(order: Order) -> NDArray:
        return run(Shim(build.library(), order, seed=3), frame, pixel_format, settings, size, "float32")

    first = result("forward")
    for order in ORDERS[1:]:
        np.testing.assert_array_equal(result(order), first)


def test_a_twelve_bit_camera(shim: Shim) -> None:
    settings = Preprocess(size=(32, 32), bits=12, mean=(0, 0, 0), std=(1, 1, 1))
    frame = np.full((64, 64), 4095, np.uint16)
    np.testing.assert_array_equal(run(shim, frame, "gray16", settings, (64, 64), "float32"), 1.0)


def test_the_brightest_frame_does_not_overflow(shim: Shim) -> None:
    settings = Preprocess(size=(32, 32), bits=16, mean=(0, 0, 0), std=(1, 1, 1))
    frame = np.full((2000, 1000), 65535, np.uint16)
    np.testing.assert_array_equal(run(shim, frame, "gray16", settings, frame.shape, "float32"), 1.0)
