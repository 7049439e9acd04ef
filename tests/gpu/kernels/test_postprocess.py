"""The post-processing kernel on the CPU, against float64 and against the CPU runtime.

Scores and maps lie within 1e-5 of the peak of the float64 ones (float32 sums in another order), and within 3e-6 of the
CPU runtime's. Regions are the same, box for box and pixel for pixel, where the threshold lies in a gap between values.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import numpy as np
import pytest
import references
from numpy.typing import NDArray
from shim import build
from shim.device import ORDERS, Shim, allocate

from edgeirf.conformal import Calibration
from edgeirf.runtime import scoring as cpu
from edgeirf.runtime.kernels import RECORD_BYTES, Real, Result, missing_regions, plan_postprocess, read_result
from edgeirf.runtime.kernels.layout import MAX_REGIONS
from edgeirf.settings import Scoring

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="needs g++ to run the kernels on the CPU")

INVAD = Scoring(density="norm", latent=(0.5, 0.02, 1.5, 0.3))


@dataclass(frozen=True)
class Case:
    """A field ``(tiles, C, h, w)`` and what is to be made of it."""

    scoring: Scoring
    shape: tuple[int, int, int, int]
    tiles: tuple[int, int] = (1, 1)
    size: tuple[int, int] = (64, 96)
    dtype: Real = "float32"

    @property
    def field(self) -> NDArray:
        """The same field for everybody: noise with one loud cell."""
        noise = np.random.default_rng(sum(self.shape)).standard_normal(self.shape)
        noise[-1, :, -1, -1] *= 2
        return noise.astype(self.dtype)

    @property
    def map_size(self) -> tuple[int, int]:
        return self.tiles[0] * self.size[0], self.tiles[1] * self.size[1]


CASES = {
    "default": Case(Scoring(), (1, 192, 16, 16), size=(256, 256), dtype="float16"),
    "float32": Case(Scoring(), (1, 33, 8, 12)),
    "odd grid": Case(Scoring(sigma=3.3), (1, 5, 7, 9)),
    "odd map": Case(Scoring(sigma=2), (1, 5, 7, 9), size=(61, 83)),
    "tiles": Case(Scoring(), (6, 7, 5, 6), tiles=(2, 3), size=(32, 64)),
    "one channel": Case(Scoring(), (1, 1, 4, 6)),
    "one cell": Case(Scoring(), (1, 40, 1, 1)),
    "one pixel": Case(Scoring(), (1, 3, 1, 1), size=(1, 1)),
    "one pixel of many cells": Case(Scoring(), (1, 3, 3, 4), size=(1, 1)),
    "one row": Case(Scoring(), (1, 9, 1, 30), size=(1, 120)),
    "one column": Case(Scoring(), (1, 9, 30, 1), size=(120, 1)),
    "no smoothing": Case(Scoring(sigma=0), (1, 4, 16, 24), size=(32, 48)),
    "grid as fine as the map": Case(Scoring(sigma=1), (1, 4, 64, 40), size=(64, 40)),
    "wide smoothing": Case(Scoring(sigma=40), (1, 4, 8, 12)),
    "panels of rows": Case(Scoring(sigma=2), (1, 2, 160, 4), size=(640, 32)),
    "norm": Case(Scoring(density="norm"), (1, 24, 8, 12), dtype="float16"),
    "top 1 %": Case(Scoring(top_k=61), (1, 24, 8, 12)),
    "top 1 % of two tiles": Case(Scoring(top_k=100, sigma=2), (2, 24, 8, 12), tiles=(2, 1)),
    "mean of all": Case(Scoring(top_k=1_000_000), (1, 24, 8, 12)),
    "invad": Case(INVAD, (1, 24, 8, 12)),
}


def run(
    case: Case, shim: Shim, field: NDArray | None = None, launches: int = 1, **options: object
) -> tuple[Result, NDArray[np.float32], dict[str, NDArray]]:
    plan = plan_postprocess(case.scoring, case.shape, case.tiles, case.size, case.dtype, **options)
    buffers = allocate(plan, field=case.field if field is None else field)
    for _ in range(launches):
        shim.launch(plan, buffers)
    result = read_result(buffers["result"].tobytes(), case.map_size, (0, 0, case.map_size[1], case.map_size[0]))
    return result, buffers["map"].view(np.float32).reshape(case.map_size), buffers


@pytest.fixture(scope="module")
def shim() -> Shim:
    return Shim(build.library())


@pytest.mark.parametrize("name", CASES)
def test_scores_and_map(shim: Shim, name: str) -> None:
    case = CASES[name]
    result, found, _ = run(case, shim, write_map=True)
    exact = references.expected_map(case.field, case.scoring, case.tiles, case.size)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-5 * exact.max())
    assert result.peak == found.max()
    assert result.lowest == found.min()
    assert result.map_written
    assert result.sequence == 1
    scored = cpu.score_field(case.field.astype(np.float32), case.scoring, case.size, case.tiles)
    np.testing.assert_allclose(result.score, scored.score, rtol=1e-4 if case.scoring.latent else 3e-6)
    np.testing.assert_allclose(found, scored.map, rtol=0, atol=3e-6 * exact.max())


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("name", ["odd grid", "odd map", "tiles", "one row", "one column", "no smoothing", "norm"])
def test_regions(shim: Shim, name: str, share: float) -> None:
    case = CASES[name]
    exact = references.expected_map(case.field, case.scoring, case.tiles, case.size)
    threshold = references.gap_near(exact, share)
    result, found, _ = run(case, shim, pixel_threshold=threshold)
    expected = cpu.find_regions(exact.astype(np.float32), threshold, (0, 0, case.map_size[1], case.map_size[0]))
    assert result.found == len(expected) > 0
    assert result.more_regions == (len(expected) > MAX_REGIONS)
    assert result.map_written
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-5 * exact.max())
    for ours, theirs in zip(result.regions, expected[:MAX_REGIONS], strict=True):
        assert (ours.x, ours.y, ours.width, ours.height, ours.area) == (
            theirs.x, theirs.y, theirs.width, theirs.height, theirs.area,
        )  # fmt: skip
        assert ours.peak == pytest.approx(theirs.peak, rel=1e-5)


SHAPES = {
    "diagonal": ["#..#", ".##.", ".##.", "#..#"],
    "frame": ["#####", "#...#", "#.#.#", "#...#", "#####"],
    "spiral": ["#######", "......#", "#####.#", "#...#.#", "#.#.#.#", "#.###.#", "#.....#", "#######"],
    "comb": ["#.#.#.#.#", "#.#.#.#.#", "#.#.#.#.#", "#########"],
    "checker": ["#.#.#.#.", ".#.#.#.#", "#.#.#.#.", ".#.#.#.#"],
    "dots": ["#.#.#.#.#.#.", "............", "#.#.#.#.#.#.", "............", "#.#.#.#.#.#.", "............"],
    "everything": ["####", "####"],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", SHAPES)
def test_regions_of_difficult_shapes(name: str, order: str) -> None:
    """Drawn into the field, one cell a map pixel; no two peaks are equal."""
    drawn = np.array([list(row) for row in SHAPES[name]]) == "#"
    level = np.where(drawn, 10 + np.arange(drawn.size).reshape(drawn.shape) / 64, 1.0)
    field = np.sqrt(2 * level)[None, None].astype(np.float32)
    case = Case(Scoring(sigma=0), (1, 1, *drawn.shape), size=drawn.shape)
    result, found, _ = run(case, Shim(build.library(), order, seed=5), field, pixel_threshold=5.0)
    expected = cpu.find_regions(found, 5.0, (0, 0, drawn.shape[1], drawn.shape[0]))
    assert result.found == len(expected)
    assert result.regions == expected[:MAX_REGIONS]


@pytest.mark.parametrize("name", ["default", "tiles", "top 1 % of two tiles", "invad"])
def test_the_order_of_threads_and_blocks_does_not_matter(name: str) -> None:
    results = [run(CASES[name], Shim(build.library(), order, seed=7), write_map=True) for order in ORDERS]
    for result, found, _ in results[1:]:
        assert result == results[0][0]
        np.testing.assert_array_equal(found, results[0][1])


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("name", ["float32", "tiles", "top 1 %", "invad"])
def test_a_broken_field_is_never_a_good_part(shim: Shim, name: str, value: float) -> None:
    field = CASES[name].field
    field[0, 0, 2, 3] = value
    result, _, _ = run(CASES[name], shim, field, score_threshold=1e9, pixel_threshold=1e9)
    assert result.reject
    assert not np.isfinite(result.score)


def test_float16_sums_do_not_overflow(shim: Shim) -> None:
    """192 channels at 200 are 3.8 million: far beyond float16."""
    case = Case(Scoring(), (1, 192, 4, 4), size=(32, 32), dtype="float16")
    result, _, _ = run(case, shim, np.full(case.shape, 200, np.float16))
    assert result.score == pytest.approx(192 * 200**2 / 2, rel=1e-6)


@pytest.mark.parametrize("count", [1, 2, 31, 1025])
def test_the_p_value_is_the_calibration_s(shim: Shim, count: int) -> None:
    case = CASES["float32"]
    score = run(case, shim)[0].score
    spread = np.sort(np.random.default_rng(count).normal(score, 1, count))
    spread[count // 2] = score  # a tie counts
    scores = tuple(np.sort(spread).tolist())
    result, _, _ = run(case, shim, scores=scores)
    assert (1 + result.reached_by) / (count + 1) == Calibration(scores, scores).p_value(result.score)


def test_thresholds_are_strict_to_the_last_bit(shim: Shim) -> None:
    """A float64 threshold just under a float32 score rejects, the score itself does not."""
    case = CASES["float32"]
    score = run(case, shim)[0].score
    for threshold, reject in (
        (score, False),
        (np.nextafter(score, -np.inf), True),
        (np.nextafter(score, np.inf), False),
    ):
        assert run(case, shim, score_threshold=float(threshold))[0].reject is reject


def test_frames_are_numbered_and_the_workspace_is_left_ready(shim: Shim) -> None:
    result, _, buffers = run(CASES["tiles"], shim, launches=3)
    assert result.sequence == 3
    assert buffers["workspace"][:4].view(np.uint32)[0] == 0


def test_the_map_is_written_only_on_request(shim: Shim) -> None:
    result, _, buffers = run(CASES["default"], shim)
    assert not result.map_written
    assert (buffers["map"] == 0xFF).all()


def test_the_record_holds_two_regions_and_says_when_there_are_more(shim: Shim) -> None:
    case = CASES["odd grid"]
    exact = references.expected_map(case.field, case.scoring, case.tiles, case.size)
    result, _, buffers = run(case, shim, pixel_threshold=references.gap_near(exact, 0.1))
    record = buffers["result"].tobytes()[:RECORD_BYTES]
    area = (0, 0, case.map_size[1], case.map_size[0])
    assert missing_regions(record)
    assert read_result(record, case.map_size, area).regions == result.regions[:2]
