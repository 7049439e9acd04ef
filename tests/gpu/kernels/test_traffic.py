"""Bytes between the multiprocessors and the memory system, counted at every load and store of a whole launch.

Streamed data (frame, field) and stores are counted each time; small tables, of which L1 keeps every byte that a block
has loaded, once a block. Both may be at most 1.2 times the least possible: input once, output once.
"""

from __future__ import annotations

import shutil
from functools import cache

import numpy as np
import pytest
import references
from ptx.device import Interpreter
from shim import build
from shim.device import Shim, Traffic, allocate

from edgeirf.runtime.kernels import RECORD_BYTES, InputLayout, Launch, PixelFormat, plan_postprocess, plan_preprocess
from edgeirf.settings import Preprocess, Scoring

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="needs g++ to run the kernels on the CPU")

FIVE_MEGAPIXELS = (1944, 2592)


def count(plan: Launch, **contents: np.ndarray) -> Traffic:
    shim = Shim(build.library())
    shim.launch(plan, allocate(plan, **contents))
    return shim.traffic


@pytest.mark.parametrize("layout", ["float16x4", "float32"])
@pytest.mark.parametrize("pixel_format", ["bgr8", "gray8", "gray16", "bayer_rggb8", "nv12"])
def test_five_megapixels_in(pixel_format: PixelFormat, layout: InputLayout) -> None:
    plan = plan_preprocess(Preprocess(size=(256, 256)), FIVE_MEGAPIXELS, pixel_format, layout)
    traffic = count(plan, frame=references.random_frame(pixel_format, *FIVE_MEGAPIXELS))
    frame, output = plan.buffers["frame"], plan.buffers["output"]
    # All but the rims of a block's area is read once; demosaicing needs a row more above and below.
    assert frame <= traffic.streamed <= (1.09 if pixel_format.startswith("bayer") else 1.04) * frame
    assert traffic.stored == output
    assert traffic.streamed + traffic.cached + traffic.stored <= 1.2 * (frame + output)


@pytest.mark.parametrize("write_map", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_map_of_256_out(dtype: str, write_map: bool) -> None:
    plan = plan_postprocess(
        Scoring(), (1, 192, 16, 16), (1, 1), (256, 256), dtype, scores=range(100), write_map=write_map
    )
    field = np.random.default_rng(0).standard_normal((1, 192, 16, 16)).astype(dtype)
    traffic = count(plan, field=field)
    least = field.nbytes + (plan.buffers["map"] if write_map else 0) + RECORD_BYTES
    assert traffic.streamed == field.nbytes
    assert traffic.streamed + traffic.cached + traffic.stored <= 1.2 * least
    assert traffic.atomics == plan.grid[0]


@pytest.mark.skipif(not shutil.which("nvcc"), reason="needs nvcc to make PTX")
@pytest.mark.parametrize("pixel_format", ["bgr8", "bayer_rggb8", "nv12"])
def test_the_compiled_kernel_loads_no_more_and_wastes_no_sectors(pixel_format: PixelFormat) -> None:
    """The interpreter counts nvcc's loads and stores: the same bytes, in 32-byte sectors that are used."""
    size = (36, 1000)
    plan = plan_preprocess(Preprocess(size=(32, 64)), size, pixel_format, "float16x4")
    frame = references.random_frame(pixel_format, *size)
    interpreter = Interpreter()
    interpreter.launch(plan, allocate(plan, frame=frame))
    counted = count(plan, frame=frame)
    machine = interpreter.machine
    assert machine is not None
    assert machine.traffic["streamed"] == counted.streamed
    assert machine.traffic["stored"] == counted.stored
    assert machine.sectors["streamed"] <= 1.25 * machine.traffic["streamed"]


@pytest.mark.skipif(not shutil.which("nvcc"), reason="needs nvcc to make PTX")
def test_the_field_is_loaded_in_whole_sectors() -> None:
    plan = plan_postprocess(Scoring(sigma=1), (1, 48, 8, 8), (1, 1), (32, 32), "float16")
    field = np.random.default_rng(0).standard_normal((1, 48, 8, 8)).astype(np.float16)
    interpreter = Interpreter()
    interpreter.launch(plan, allocate(plan, field=field))
    counted = count(plan, field=field)
    machine = interpreter.machine
    assert machine is not None
    assert machine.traffic["streamed"] == counted.streamed == machine.sectors["streamed"] == field.nbytes
    assert machine.traffic["stored"] == counted.stored


@cache
def loaded(shape: str) -> int:
    """Bytes that a map of 32x32 costs, with that above the threshold; no two regions have the same peak."""
    level = np.ones((32, 32))
    if shape == "16 squares":
        for k in range(16):
            level[k // 4 * 8 + 2 : k // 4 * 8 + 6, k % 4 * 8 + 2 : k % 4 * 8 + 6] = 9 + k / 8
    elif shape == "a dot":
        level[17, 3] = 9
    elif shape == "everything":
        level[:] = 9
    plan = plan_postprocess(Scoring(sigma=0), (1, 1, 32, 32), (1, 1), (32, 32), "float32", pixel_threshold=5.0)
    interpreter = Interpreter()
    interpreter.launch(plan, allocate(plan, field=np.sqrt(2 * level)[None, None].astype(np.float32)))
    assert interpreter.machine is not None
    return interpreter.machine.traffic["cached"]


@pytest.mark.skipif(not shutil.which("nvcc"), reason="needs nvcc to make PTX")
@pytest.mark.parametrize(("shape", "most"), [("a dot", 1), ("16 squares", 24), ("everything", 128)])
def test_the_regions_of_a_rejected_part_cost_a_few_passes(shape: str, most: int) -> None:
    """Bytes a pixel beyond making the map twice: once for its peak, and once to write it."""
    assert loaded(shape) - 2 * loaded("nothing") <= most * 32 * 32
