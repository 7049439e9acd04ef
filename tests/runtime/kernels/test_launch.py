"""Launch plans: geometry, arguments, and what is refused."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgeirf.errors import FrameError, UsageError
from edgeirf.runtime.kernels import (
    FORMATS,
    SOURCES,
    PixelFormat,
    default_pitch,
    headers,
    launch,
    plan_postprocess,
    plan_preprocess,
    source,
)
from edgeirf.runtime.kernels.launch import PREPROCESS_THREADS, round_down
from edgeirf.settings import Preprocess, Scoring

SIDES = st.sampled_from([32, 64, 96, 256, 512])


@settings(max_examples=200, deadline=None)
@given(
    pixel_format=st.sampled_from(list(FORMATS)),
    size=st.tuples(SIDES, SIDES),
    frame=st.tuples(st.integers(4, 6000), st.integers(4, 9000)),
    columns=st.integers(1, 4),
    left=st.integers(0, 63),
)
def test_a_thread_for_each_word_of_a_block(
    pixel_format: PixelFormat, size: tuple[int, int], frame: tuple[int, int], columns: int, left: int
) -> None:
    """The kernel gives each 4-byte word under its outputs to one thread: there must never be more words."""
    height, width = frame[0] // 2 * 2, frame[1] // 2 * 2
    left = min(left, width - columns)
    model = Preprocess(size=size, tiles=(1, columns), roi=(left, 0, width - left, height))
    try:
        plan = plan_preprocess(model, (height, width), pixel_format, "float16")
    except FrameError:
        assume(False)
    layout = FORMATS[pixel_format]
    pixel = layout.channels * layout.itemsize
    step = int(plan.args["block_columns"])
    for tile in range(columns):
        start, end = (left + edge * (width - left) // columns for edge in (tile, tile + 1))
        for column in range(0, size[1], step):
            last = min(column + step, size[1]) - 1
            first_pixel = start + column * (end - start) // size[1]
            end_pixel = start + ((last + 1) * (end - start) - 1) // size[1] + 1
            words = -(-(end_pixel * pixel - first_pixel * pixel // 4 * 4) // 4)
            assert words <= PREPROCESS_THREADS
    assert plan.grid[0] * step >= size[1] > (plan.grid[0] - 1) * step
    assert plan.grid[1] * int(plan.args["block_rows"]) >= size[0]
    assert plan.grid[2] == columns


@pytest.mark.parametrize(
    ("pixel_format", "width", "pitch"),
    [("bgr8", 5, 16), ("gray8", 4, 4), ("gray8", 5, 8), ("gray16", 3, 8), ("bgr16", 3, 20), ("nv12", 6, 8)],
)
def test_rows_begin_at_words(pixel_format: PixelFormat, width: int, pitch: int) -> None:
    assert default_pitch(width, pixel_format) == pitch


def test_buffers_have_the_frame_s_and_the_input_s_size() -> None:
    plan = plan_preprocess(Preprocess(size=(64, 32), tiles=(2, 3)), (90, 200), "nv12", "float16", pitch=256)
    assert plan.buffers == {"frame": 256 * 135, "output": 6 * 3 * 64 * 32 * 2}
    assert plan.args["chroma"] == 256 * 90


def test_the_default_post_processing() -> None:
    plan = plan_postprocess(Scoring(), (1, 192, 16, 16), (1, 1), (256, 256), "float16", scores=(1.0, 2.0))
    assert plan.grid == (8, 1, 1)
    assert plan.buffers["field"] == 192 * 256 * 2
    assert plan.buffers["map"] == 256 * 256 * 4
    assert len(plan.constants["tables"]) == plan.buffers["tables"]
    assert plan.args["score_threshold"] == plan.args["pixel_threshold"] == math.inf


@pytest.mark.parametrize(
    ("shape", "pixel_format", "options", "message"),
    [
        ((100, 100), "bgr8", {"roi": (50, 50, 51, 50)}, "does not cover"),
        ((101, 100), "nv12", {}, "even sides"),
        ((100, 101), "bayer_rggb8", {}, "even sides"),
        ((2, 100), "bayer_rggb8", {}, "at least 4"),
        ((100, 0), "gray8", {}, "1 to 65535"),
        ((3, 100), "gray8", {"tiles": (4, 1)}, "cannot be cut"),
        ((50, 20_000), "bgr16", {"size": (32, 32)}, "use more tiles"),
    ],
)
def test_frames_that_are_refused(
    shape: tuple[int, int], pixel_format: PixelFormat, options: dict, message: str
) -> None:
    with pytest.raises(FrameError, match=message) as raised:
        plan_preprocess(Preprocess(**options), shape, pixel_format, "float32")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("pitch", [299, 298, 4, 2**30])
def test_pitches_that_are_refused(pitch: int) -> None:
    with pytest.raises(UsageError, match="pitch"):
        plan_preprocess(Preprocess(), (100, 100), "bgr8", "float32", pitch)


@pytest.mark.parametrize(
    ("shape", "tiles", "size", "sigma"),
    [
        ((2, 8, 4, 4), (1, 1), (64, 64), 4.0),
        ((1, 8, 4, 0), (1, 1), (64, 64), 4.0),
        ((200, 8, 4, 4), (200, 1), (512, 64), 4.0),  # a map of 102,400 rows
    ],
)
def test_fields_that_are_refused(shape: tuple, tiles: tuple, size: tuple, sigma: float) -> None:
    with pytest.raises(UsageError):
        plan_postprocess(Scoring(sigma=sigma), shape, tiles, size, "float32")


def test_a_smoothing_too_wide_for_shared_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "PANEL_CELLS", 3)
    with pytest.raises(UsageError, match="use the CPU"):
        plan_postprocess(Scoring(sigma=4.0), (1, 8, 16, 16), (1, 1), (256, 256), "float32")


@given(st.floats(-1e30, 1e30), st.floats(-(2.0**99), 2.0**99, width=32))
def test_rounding_down_keeps_every_comparison(value: float, score: float) -> None:
    low = round_down([value])[0]
    assert (low >= np.float32(score)) == (value >= score)
    assert (np.float32(score) > low) == (score > value)


def test_every_kernel_is_in_the_source_named_for_it() -> None:
    for file, kernels in SOURCES.items():
        text = source(file)
        assert all(f" {kernel}(" in text for kernel in kernels)
    for text in (*map(source, SOURCES), *headers().values()):
        included = {line.split('"')[1] for line in text.splitlines() if line.startswith("#include")}
        assert included <= set(headers())  # NVRTC is given no other


def test_importing_needs_no_cuda() -> None:
    check = "import sys, edgeirf.runtime.kernels; print({m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout
    assert "numpy" in loaded
    assert not any(f"'{name}'" in loaded for name in ("pycuda", "cuda", "tensorrt", "torch"))
