"""The kernels as nvcc compiles them, interpreted with every check on; blocks run forwards and backwards."""

from __future__ import annotations

import shutil

import batteries
import pytest
from ptx.device import Interpreter

pytestmark = pytest.mark.skipif(not shutil.which("nvcc"), reason="needs nvcc to make PTX")


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("source", ["packed8", "packed16", "bayer8", "nv12"])
def test_preprocess(source: str, backwards: bool) -> None:
    batteries.preprocess_few(source)(Interpreter(backwards=backwards))


@pytest.mark.parametrize("backwards", [False, True])
def test_postprocess(backwards: bool) -> None:
    batteries.postprocess_few(Interpreter(backwards=backwards))


def test_a_broken_field() -> None:
    batteries.check_broken(Interpreter())
