"""A few launches that together go through every branch of a kernel, on any device that runs kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import references
from numpy.typing import NDArray
from shim.device import allocate

from edgeirf.runtime import scoring as cpu
from edgeirf.runtime.imaging.pixel_format import to_bgr
from edgeirf.runtime.imaging.preprocess import normalise, prepare
from edgeirf.runtime.kernels import (
    FORMATS,
    InputLayout,
    Launch,
    PixelFormat,
    input_view,
    plan_postprocess,
    plan_preprocess,
    read_result,
)
from edgeirf.runtime.kernels.launch import round_down
from edgeirf.runtime.kernels.network_input import LAYOUTS
from edgeirf.settings import Preprocess, Scoring


class Device(Protocol):
    """The shim, the sanitized program, or the PTX interpreter."""

    def launch(self, plan: Launch, buffers: dict[str, NDArray[np.uint8]]) -> None: ...


Battery = Callable[[Device], None]

_SMALL = Preprocess(size=(32, 32))
_ENLARGED = Preprocess(size=(32, 32), roi=(4, 2, 20, 17), color="gray")
_FORMATS: dict[str, tuple[PixelFormat, ...]] = {
    "packed8": ("bgr8", "gray8"),
    "packed16": ("rgb16",),
    "bayer8": ("bayer_grbg8",),
    "nv12": ("nv12",),
}


def preprocess_frames(source: str) -> Battery:
    """Sizes that need several blocks each way, ties, tiles of two sizes, the frame's rims, and enlarging."""

    def battery(device: Device) -> None:
        tiles = Preprocess(size=(32, 32), tiles=(1, 2), roi=(0, 4, 155, 40))
        for pixel_format in _FORMATS[source]:
            for settings, size in ((_SMALL, (70, 600)), (tiles, (44, 156)), (_SMALL, (64, 64)), (_ENLARGED, (20, 24))):
                check_preprocess(device, pixel_format, settings, size)
        bright = np.full((2000, 1000), 65535, np.uint16)
        if source == "packed16":
            check_preprocess(device, "gray16", Preprocess(size=(32, 32), bits=16), bright.shape, bright)

    return battery


def preprocess_few(source: str) -> Battery:
    """Small enough for the interpreter."""

    def battery(device: Device) -> None:
        for pixel_format in _FORMATS[source][:1]:
            check_preprocess(device, pixel_format, _SMALL, (40, 160))
            check_preprocess(device, pixel_format, _ENLARGED, (20, 24))

    return battery


def check_preprocess(
    device: Device,
    pixel_format: PixelFormat,
    settings: Preprocess,
    size: tuple[int, int],
    frame: NDArray | None = None,
    layouts: tuple[InputLayout, ...] = LAYOUTS,
) -> None:
    """One frame through the kernel."""
    frame = references.random_frame(pixel_format, *size) if frame is None else frame
    bgr = to_bgr(frame, pixel_format)
    area = settings.roi or (0, 0, size[1], size[0])
    reduced = area[2] // settings.tiles[1] >= settings.size[1] and area[3] // settings.tiles[0] >= settings.size[0]
    expected = references.expected_input(bgr, settings) if reduced else normalise(prepare(bgr, settings), settings)
    for layout in layouts[:1] if FORMATS[pixel_format].itemsize == 2 else layouts:  # 16 bits overflow float16
        plan = plan_preprocess(settings, size, pixel_format, layout)
        buffers = allocate(plan, frame=references.pitched(frame, int(plan.args["pitch"])))
        device.launch(plan, buffers)
        found = input_view(buffers["output"], expected.shape, layout)
        np.testing.assert_array_equal(found, expected.astype(found.dtype))
        if layout == "float16x4":
            assert not buffers["output"].view(np.float16)[3::4].any()  # of the padding


def postprocess_fields(device: Device) -> None:
    """Odd sizes, tiles, all kinds of score, regions, and a broken field."""
    check_postprocess(device, Scoring(sigma=2), (6, 5, 5, 9), (2, 3), (21, 37), share=0.1)
    check_postprocess(device, Scoring(sigma=1, density="norm", top_k=50), (1, 70, 7, 9), (1, 1), (33, 31))
    check_postprocess(device, Scoring(sigma=1), (1, 2, 160, 4), (1, 1), (320, 8))
    check_shapes(device)
    check_broken(device)


def postprocess_few(device: Device) -> None:
    """Small enough for the interpreter: two blocks, two strips, regions that are hard to join."""
    check_postprocess(device, Scoring(sigma=1, top_k=20), (2, 5, 4, 6), (1, 2), (9, 20), share=0.3)
    check_shapes(device)


def check_postprocess(
    device: Device,
    rules: Scoring,
    shape: tuple[int, int, int, int],
    tiles: tuple[int, int],
    size: tuple[int, int],
    share: float = 0.0,
) -> None:
    """One field through the kernel: map, score, rank, and the regions above the value that ``share`` exceeds."""
    field = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    exact = references.expected_map(field, rules, tiles, size)
    threshold = references.gap_near(exact, share) if share else 1e9
    scored = cpu.score_field(field, rules, size, tiles)
    near = np.float32(scored.score) * (1 + np.arange(-40, 41, dtype=np.float32) * np.float32(2**-23))  # one is a tie
    scores = np.sort([*np.linspace(0, 2 * scored.score, 9), *near])
    plan = plan_postprocess(
        rules, shape, tiles, size, "float32", scores=scores, pixel_threshold=threshold, write_map=True
    )
    buffers = allocate(plan, field=field)
    device.launch(plan, buffers)
    map_size = (tiles[0] * size[0], tiles[1] * size[1])
    result = read_result(buffers["result"].tobytes(), map_size, (0, 0, map_size[1], map_size[0]))
    found = buffers["map"].view(np.float32).reshape(map_size)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-5 * exact.max())
    np.testing.assert_allclose(
        [result.score, result.peak, result.lowest], [scored.score, exact.max(), exact.min()], 1e-5
    )
    assert result.reached_by == (round_down(scores) >= np.float32(result.score)).sum()
    _check_regions(result.regions, exact.astype(np.float32), threshold)


_DRAWN = [
    "#.#.#...#.#",
    "#.#.#.#.#.#",
    "#.###.#.#..",
    "#.....###.#",
    ".#####....#",
    "#...........",
    "....#.#.#..",
    "",
    "...........#",
    "#",
]


def check_shapes(device: Device) -> None:
    """Regions that are joined late, along diagonals, at the rims, one after another; more than the record holds."""
    drawn = np.array([list(row.ljust(12, ".")) for row in _DRAWN]) == "#"
    level = np.where(drawn, 10 + np.arange(drawn.size).reshape(drawn.shape) / 64, 1.0)
    rules, shape = Scoring(sigma=0), (1, 1, *drawn.shape)
    plan = plan_postprocess(rules, shape, (1, 1), drawn.shape, "float32", pixel_threshold=5.0)
    buffers = allocate(plan, field=np.sqrt(2 * level).astype(np.float32))
    device.launch(plan, buffers)
    result = read_result(buffers["result"].tobytes(), drawn.shape, (0, 0, drawn.shape[1], drawn.shape[0]))
    found = buffers["map"].view(np.float32).reshape(drawn.shape)
    np.testing.assert_allclose(found, level, rtol=1e-6)
    _check_regions(result.regions, found, 5.0)


def check_broken(device: Device) -> None:
    """A value that is not a number makes a score that is none, also where the score leaves the largest values out."""
    field = np.ones((1, 40, 4, 4), np.float32)
    field[0, 39, 3, 3] = -np.nan
    plan = plan_postprocess(Scoring(top_k=5), field.shape, (1, 1), (32, 32), "float32", score_threshold=1e9)
    buffers = allocate(plan, field=field)
    device.launch(plan, buffers)
    result = read_result(buffers["result"].tobytes(), (32, 32), (0, 0, 32, 32))
    assert np.isnan(result.score)
    assert result.reject


def _check_regions(found: tuple, scored_map: NDArray[np.float32], threshold: float) -> None:
    expected = cpu.find_regions(scored_map, threshold, (0, 0, scored_map.shape[1], scored_map.shape[0]))
    boxes = [[(r.x, r.y, r.width, r.height, r.area) for r in regions] for regions in (found, expected)]
    assert boxes[0] == boxes[1][: len(boxes[0])]
    assert len(boxes[0]) == min(len(boxes[1]), 16)
