"""The kernels as nvcc compiles them, interpreted with every check on; blocks run forwards and backwards."""

from __future__ import annotations

import shutil

import batteries
import pytest
from ptx.device import Interpreter

from edgeirf.runtime.kernels import PixelFormat
from edgeirf.settings import Preprocess, Scoring

pytestmark = pytest.mark.skipif(not shutil.which("nvcc"), reason="needs nvcc to make PTX")


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("source", ["packed8", "packed16", "bayer8", "nv12"])
def test_preprocess(source: str, backwards: bool) -> None:
    batteries.preprocess_few(source)(Interpreter(backwards=backwards))


@pytest.mark.parametrize("backwards", [False, True])
def test_postprocess(backwards: bool) -> None:
    batteries.postprocess_few(Interpreter(backwards=backwards))


@pytest.mark.parametrize(
    "pixel_format", ["rgb8", "gray8", "bgr16", "gray16", "bayer_rggb8", "bayer_gbrg8", "bayer_bggr8"]
)
def test_other_formats_in_tiles_of_two_sizes(pixel_format: PixelFormat) -> None:
    settings = Preprocess(size=(32, 32), tiles=(1, 2), roi=(1, 0, 67, 34), color="gray")
    batteries.check_preprocess(Interpreter(), pixel_format, settings, (34, 68), layouts=("float32",))


ODD = {
    "one pixel": (Scoring(), (1, 3, 1, 1), (1, 1)),
    "one row": (Scoring(sigma=1), (1, 5, 1, 7), (1, 45)),
    "one column of two panels": (Scoring(sigma=1, density="norm"), (1, 2, 140, 1), (280, 1)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_maps(name: str) -> None:
    rules, shape, size = ODD[name]
    batteries.check_postprocess(Interpreter(), rules, shape, (1, 1), size)


def test_a_broken_field() -> None:
    batteries.check_broken(Interpreter())
