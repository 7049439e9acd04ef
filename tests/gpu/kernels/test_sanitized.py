"""The kernels under AddressSanitizer: no access beyond a buffer, a shared array or a local one, no undefined behaviour.

The results must be those of the unsanitized run, in every order of threads and blocks.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import references
from shim import build
from shim.device import ORDERS, Order, Shim, allocate
from shim.sanitized import Sanitized

from edgeirf.runtime.kernels import FORMATS, Launch, PixelFormat, plan_overlay, plan_postprocess, plan_preprocess
from edgeirf.settings import Preprocess, Scoring

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="needs g++ to run the kernels on the CPU")

REDUCED = Preprocess(size=(32, 32), roi=(3, 5, 131, 70), tiles=(1, 2))
ENLARGED = Preprocess(size=(32, 64), color="gray")


def compare(plan: Launch, scratch: Path, order: Order, **contents: np.ndarray) -> None:
    plain, guarded = allocate(plan, **contents), allocate(plan, **contents)
    Shim(build.library()).launch(plan, plain)
    Sanitized(build.sanitized_program(), scratch, order).launch(plan, guarded)
    for name in plan.buffers:
        if name != "workspace":
            np.testing.assert_array_equal(guarded[name], plain[name])


@pytest.mark.parametrize("settings", [REDUCED, ENLARGED])
@pytest.mark.parametrize(("number", "pixel_format"), list(enumerate(FORMATS)))
def test_preprocess(number: int, pixel_format: PixelFormat, settings: Preprocess, tmp_path: Path) -> None:
    size = (76, 134) if settings is REDUCED else (30, 62)
    plan = plan_preprocess(settings, size, pixel_format, "float16x4")
    frame = references.pitched(references.random_frame(pixel_format, *size), int(plan.args["pitch"]))
    compare(plan, tmp_path, ORDERS[number % 3], frame=frame)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("rules", "threshold"), [(Scoring(sigma=2), 1e9), (Scoring(sigma=2), 2.5), (Scoring(density="norm", top_k=50), 1e9)]
)
def test_postprocess(rules: Scoring, threshold: float, order: Order, tmp_path: Path) -> None:
    shape, tiles, size = (2, 5, 7, 9), (1, 2), (33, 41)
    plan = plan_postprocess(rules, shape, tiles, size, "float32", scores=range(40), pixel_threshold=threshold)
    field = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    compare(plan, tmp_path, order, field=field)


@pytest.mark.parametrize("pixel_format", ["bgr8", "gray8"])
def test_overlay(pixel_format: PixelFormat, tmp_path: Path) -> None:
    frame = references.random_frame(pixel_format, 12, 33)
    plan = plan_overlay((12, 33), pixel_format, (2, 1, 30, 11), (5, 4), 3.0)
    scores = np.random.default_rng(0).gamma(2, 2, (5, 4)).astype(np.float32)
    compare(plan, tmp_path, "reverse", frame=references.pitched(frame, int(plan.args["frame_pitch"])), map=scores)
