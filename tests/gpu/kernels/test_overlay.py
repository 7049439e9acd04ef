"""The overlay kernel on the CPU, against the CPU runtime's picture."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import references
from shim import build
from shim.device import Shim, allocate

from edgeirf.errors import UsageError
from edgeirf.runtime.imaging.pixel_format import to_bgr
from edgeirf.runtime.kernels import PixelFormat, plan_overlay
from edgeirf.runtime.render.drawing import frame_map
from edgeirf.runtime.render.overlay import overlay
from edgeirf.settings import Preprocess

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="needs g++ to run the kernels on the CPU")

AREAS = {
    "whole frame": (0, 0, 300, 40),
    "region": (7, 3, 250, 30),
    "smaller than the map": (100, 5, 20, 9),
    "one pixel": (299, 39, 1, 1),
}


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("pixel_format", ["bgr8", "rgb8", "gray8"])
def test_the_picture_is_the_cpu_runtime_s(pixel_format: PixelFormat, area: str) -> None:
    """At most one level off, where a float32 logarithm decides the rounding."""
    frame = references.random_frame(pixel_format, 40, 300)
    scores = np.random.default_rng(2).gamma(2, 4, (16, 32)).astype(np.float32)
    plan = plan_overlay((40, 300), pixel_format, AREAS[area], scores.shape, 9.0, pitch=1000)
    buffers = allocate(plan, frame=references.pitched(frame, 1000), map=scores)
    Shim(build.library()).launch(plan, buffers)
    found = buffers["output"].reshape(40, 300, 3).astype(int)
    full = frame_map(scores, (40, 300), Preprocess(roi=AREAS[area]))
    differences = np.abs(found - overlay(to_bgr(frame, pixel_format), full, 9.0))
    assert differences.max() <= 1
    assert (differences > 0).mean() < 0.001


def test_it_may_draw_into_the_frame_itself() -> None:
    frame, scores = references.random_frame("bgr8", 40, 300), np.full((8, 8), 30, np.float32)
    plan = plan_overlay((40, 300), "bgr8", (0, 0, 300, 40), (8, 8), 9.0)
    apart = allocate(plan, frame=frame, map=scores)
    Shim(build.library()).launch(plan, apart)
    within = allocate(plan, frame=frame, map=scores)
    within["output"] = within["frame"]
    Shim(build.library()).launch(plan, within)
    np.testing.assert_array_equal(within["frame"], apart["output"])


def test_other_formats_are_refused() -> None:
    with pytest.raises(UsageError, match="bgr8, rgb8 or gray8"):
        plan_overlay((40, 300), "nv12", (0, 0, 300, 40), (8, 8), 9.0)
