"""Memory lent to cameras: the frame is read from where the camera wrote it, and never while it is written."""

from __future__ import annotations

import gc
from collections.abc import Callable

import driver_control
import numpy as np
import pytest
from pairs import MakePair

from edgeirf.runtime.sources.ring import Ring
from edgeirf.settings import Preprocess

Make = Callable[..., np.ndarray]
U8 = np.dtype(np.uint8)


def written(ring: Ring, frame: np.ndarray) -> np.ndarray:
    """As a camera does it."""
    lent = ring.lend(frame.shape, frame.dtype)
    assert lent is not None
    lent[...] = frame
    return lent


@pytest.mark.parametrize("schedule", ["lazy", "others", "random"])
def test_frames_in_lent_memory_are_not_copied_on_the_host(
    schedule: str, make_pair: MakePair, memory: str, good: Make, bad: Make, staged: list[int]
) -> None:
    """Two in flight, and the ring goes round: the driver would fault on a frame that is written too early."""
    pair = make_pair()
    driver_control.schedule(schedule, seed=6)
    ring, due = Ring(pair.cuda.allocate), []
    for seed in range(20):
        frame = (bad if seed % 3 else good)(seed)
        pair.cuda.start(written(ring, frame))
        due.append(frame)
        if len(due) == 2:
            pair.agree(pair.cuda.next(), due.pop(0))
    pair.agree(pair.cuda.next(), due.pop(0))
    assert staged == []
    assert pair.cuda.launches.single == 0


def test_a_frame_costs_one_launch_once_each_memory_is_known(
    make_pair: MakePair, memory: str, good: Make, staged: list[int]
) -> None:
    pair = make_pair()
    ring = Ring(pair.cuda.allocate)
    for seed in range(18):
        pair.cuda.inspect(written(ring, good(seed)))
    driver_control.reset()
    for seed in range(8):
        pair.cuda.inspect(written(ring, good(seed)))
    assert staged == []
    assert driver_control.count("cuGraphLaunch") == 8
    assert driver_control.count("graph_captures") == driver_control.count("pinned_allocations") == 0
    assert driver_control.count("bytes_up") == (8 * 64 * 64 * 3 if memory == "discrete" else 0)


@pytest.mark.parametrize(
    ("shape", "roi"),
    [((64, 63), None), ((64, 64), (8, 0, 40, 64)), ((64, 64), (0, 7, 64, 50))],
    ids=["rows of no multiple of 4", "columns", "rows"],
)
def test_what_the_kernel_cannot_read_in_place_is_copied(
    shape: tuple[int, int],
    roi: tuple[int, int, int, int] | None,
    make_pair: MakePair,
    memory: str,
    bad: Make,
    staged: list[int],
) -> None:
    pair = make_pair(Preprocess(size=(32, 32), roi=roi))
    lent = written(Ring(pair.cuda.allocate), bad(0, shape))
    pair.compare(lent)
    assert bool(staged) is (roi is None or roi[0] > 0)


def test_maps_and_heat_maps_of_a_lent_frame(make_pair: MakePair, memory: str, bad: Make) -> None:
    pair = make_pair()
    found = pair.cuda.inspect(written(Ring(pair.cuda.allocate), bad(0)))
    copied = make_pair().cuda.inspect(bad(0))
    np.testing.assert_array_equal(found.map.heat(), copied.map.heat())
    assert pair.cuda.tick()
    pair.agree(found, bad(0))


def test_a_camera_may_go_on_writing_when_the_executor_is_closed(make_pair: MakePair, good: Make) -> None:
    pair = make_pair()
    ring = Ring(pair.cuda.allocate)
    kept = written(ring, good(0))
    pair.cuda.inspect(kept)
    pair.cuda.close()
    kept[...] = 7
    assert (written(ring, good(1)) == good(1)).all()
    assert pair.cuda.allocate((4, 4), U8).shape == (4, 4)


def test_memory_of_a_camera_that_is_gone_is_given_back(make_pair: MakePair, good: Make) -> None:
    pair = make_pair()
    before = driver_control.live()["memory"]
    for _ in range(3):
        ring = Ring(pair.cuda.allocate)
        pair.compare(written(ring, good(0)))
        del ring
        gc.collect()
    pair.compare(good(1))  # lets go of the last lent frame
    pair.compare(good(1))
    pair.cuda.allocate((1,), U8)
    assert driver_control.live()["memory"] - before <= 8


def test_without_page_locked_memory_a_camera_gets_ordinary_one(
    make_pair: MakePair, good: Make, staged: list[int]
) -> None:
    pair = make_pair()
    driver_control.fail("cuMemHostRegister", 1, 801, times=100)
    pair.compare(written(Ring(pair.cuda.allocate), good(0)))
    assert len(staged) == 1
