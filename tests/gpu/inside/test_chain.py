"""How the chain works: launches, waits, allocations, captures, frames in flight, maps, threads and contexts."""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Callable

import driver_control
import numpy as np
import pycuda.driver
import pytest
from pairs import MakePair

from edgeirf.errors import BackendError, FrameError, UsageError
from edgeirf.runtime.cuda.keepwarm import KeepWarm
from edgeirf.settings import Preprocess, Scoring

SCHEDULES = ["lazy", "others", "random", "eager"]
Make = Callable[..., np.ndarray]


def test_a_frame_costs_two_kernels_one_graph_launch_and_one_wait(make_pair: MakePair, memory: str, good: Make) -> None:
    pair = make_pair()
    pair.cuda.inspect(good(0))
    driver_control.reset()
    for seed in range(3):
        pair.cuda.inspect(good(seed))
    assert driver_control.counts() == {
        "cuCtxPushCurrent": 3,
        "cuCtxPopCurrent": 3,
        "cuGraphLaunch": 3,
        "cuEventRecord": 3,
        "cuEventSynchronize": 3,
        "graph_launches": 3,
        "host_functions": 3,  # the network
        "kernels": 6,
        "synchronisations": 3,
        **({"bytes_up": 3 * 64 * 64 * 3, "bytes_down": 3 * 64} if memory == "discrete" else {}),
    }


def test_nothing_is_allocated_for_a_frame(make_pair: MakePair, memory: str, good: Make, bad: Make) -> None:
    pair = make_pair()
    for seed in range(2):
        pair.cuda.submit(good(seed))
        pair.cuda.submit(bad(seed))
        pair.cuda.result(), pair.cuda.result()
        pair.cuda.inspect(good(seed))
        if seed == 0:
            driver_control.reset()
    asked = {name for name in driver_control.counts() if "Alloc" in name or "Create" in name or "Capture" in name}
    assert asked == set()
    assert driver_control.count("device_allocations") == driver_control.count("pinned_allocations") == 0


def test_captured_again_only_for_another_shape_or_format(make_pair: MakePair, good: Make) -> None:
    pair = make_pair()
    captures = []
    for shape, pixel_format in [((64, 64), None), ((64, 64), "bgr8"), ((80, 70), None), ((80, 70), "rgb8")]:
        driver_control.reset()
        pair.compare(good(0, shape), pixel_format)
        captures.append(driver_control.count("graph_captures"))
    assert captures == [1, 0, 1, 1]


def test_a_camera_that_is_known_costs_its_first_frames_nothing(make_pair: MakePair, memory: str, bad: Make) -> None:
    pair = make_pair()
    pair.cuda.prepare((90, 80), "bgr8")
    driver_control.reset()
    pair.cuda.submit(bad(0, (90, 80)))
    pair.cuda.submit(bad(1, (90, 80)))
    pair.cuda.result(), pair.cuda.result()
    assert driver_control.count("graph_captures") == driver_control.count("device_allocations") == 0
    assert driver_control.count("synchronisations") == 2
    with pytest.raises(FrameError, match="does not cover"):
        make_pair(Preprocess(size=(32, 32), roi=(2, 2, 30, 30))).cuda.prepare((20, 20), "bgr8")


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_two_frames_in_flight(schedule: str, make_pair: MakePair, memory: str, good: Make, bad: Make) -> None:
    pair = make_pair()
    driver_control.schedule(schedule, seed=3)
    frames = [bad(seed, (90, 80)) if seed % 3 else good(seed, (90, 80)) for seed in range(7)]
    pair.cuda.submit(frames[0])
    for now, following in zip(frames, [*frames[1:], None], strict=True):
        if following is not None:
            pair.cuda.submit(following)
        pair.agree(pair.cuda.result(), now)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_one_frame_after_the_other(schedule: str, make_pair: MakePair, memory: str, good: Make, bad: Make) -> None:
    pair = make_pair()
    driver_control.schedule(schedule, seed=5)
    for frame in (good(0), bad(1), good(2, (80, 80)), bad(3, (50, 60))):
        pair.compare(frame)


def test_shapes_change_while_a_frame_is_in_flight(make_pair: MakePair, discrete: None, good: Make, bad: Make) -> None:
    pair = make_pair()
    frames = [bad(0, (60, 60)), good(1, (120, 90)), bad(2, (200, 100)), good(3, (60, 60)), bad(4, (61, 59))]
    pair.cuda.submit(frames[0])
    for now, following in itertools.pairwise(frames):
        pair.cuda.submit(following)
        pair.agree(pair.cuda.result(), now)
    pair.agree(pair.cuda.result(), frames[-1])


def test_order_of_calls(make_pair: MakePair, good: Make) -> None:
    cuda = make_pair().cuda
    with pytest.raises(UsageError, match="no frame is in flight"):
        cuda.result()
    cuda.submit(good(0))
    with pytest.raises(UsageError, match="take a result"):
        cuda.inspect(good(0))
    cuda.submit(good(1))
    with pytest.raises(UsageError, match="take a result"):
        cuda.submit(good(2))
    assert cuda.result().score != cuda.result().score


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((64, 64, 3), np.float32), "uint8 or uint16"),
        (np.zeros((64, 64, 4), np.uint8), "BGR"),
        (np.zeros((0, 64, 3), np.uint8), "BGR"),
        (np.zeros((20, 20, 3), np.uint8), "does not cover"),
        (np.zeros((40, 40), np.uint8)[:, :0], "(H, W)"),
    ],
)
def test_a_bad_frame_does_no_harm(frame: np.ndarray, message: str, make_pair: MakePair, good: Make) -> None:
    pair = make_pair(Preprocess(size=(32, 32), roi=(2, 2, 30, 30)))
    with pytest.raises(FrameError) as raised:
        pair.cuda.inspect(frame)
    assert message in str(raised.value)
    pair.compare(good(0))


class TestMaps:
    """The map stays on the GPU until asked for."""

    def test_not_fetched_unless_asked_for(self, make_pair: MakePair, discrete: None, good: Make) -> None:
        cuda = make_pair().cuda
        cuda.inspect(good(0))
        driver_control.reset()
        inspected = cuda.inspect(good(1))
        assert driver_control.count("bytes_down") == 64
        assert inspected.map().shape == (32, 32)
        assert driver_control.count("bytes_down") == 64 + 32 * 32 * 4
        inspected.map()
        assert driver_control.count("bytes_down") == 64 + 32 * 32 * 4

    def test_gone_with_the_next_frame_in_its_place(self, make_pair: MakePair, good: Make) -> None:
        cuda = make_pair().cuda
        first = cuda.inspect(good(0))
        cuda.inspect(good(1))
        with pytest.raises(UsageError, match="before the next frame"):
            first.map()

    def test_kept_while_somebody_holds_a_frame_with_regions(
        self, make_pair: MakePair, memory: str, good: Make, bad: Make
    ) -> None:
        pair = make_pair()
        rejected = pair.cuda.inspect(bad(0))
        pair.compare(good(1))
        pair.agree(rejected, bad(0))

    def test_of_the_frame_before_while_another_is_in_flight(self, make_pair: MakePair, memory: str, good: Make) -> None:
        pair = make_pair()
        pair.cuda.submit(good(0))
        pair.cuda.submit(good(1))
        pair.agree(pair.cuda.result(), good(0))
        pair.agree(pair.cuda.result(), good(1))

    def test_not_after_the_chain_is_closed(self, make_pair: MakePair, good: Make) -> None:
        cuda = make_pair().cuda
        inspected = cuda.inspect(good(0))
        cuda.close()
        with pytest.raises(BackendError, match="closed"):
            inspected.map()


class TestKeepWarm:
    """Idle runs keep the clocks up and change nothing."""

    def test_a_tick_runs_the_network_and_changes_nothing(self, make_pair: MakePair, memory: str, bad: Make) -> None:
        pair = make_pair()
        assert pair.cuda.tick()
        assert driver_control.count("kernels") == 0
        inspected = pair.cuda.inspect(bad(0))
        before = driver_control.count("kernels")
        assert pair.cuda.tick()
        assert driver_control.count("kernels") == before + 2
        pair.agree(inspected, bad(0))
        pair.compare(bad(1))

    def test_before_the_first_part_and_after_the_camera_has_changed(
        self, make_pair: MakePair, memory: str, bad: Make
    ) -> None:
        pair = make_pair()
        for side in (40, 200, 60):
            pair.cuda.prepare((side, side), "bgr8")
            before = driver_control.count("kernels")
            assert pair.cuda.tick()
            assert driver_control.count("kernels") == before + 2
            pair.compare(bad(0, (side, side)))

    def test_not_while_frames_are_in_flight(self, make_pair: MakePair, good: Make) -> None:
        pair = make_pair()
        pair.cuda.submit(good(0))
        driver_control.reset()
        assert pair.cuda.tick()
        assert driver_control.counts() == {}
        pair.agree(pair.cuda.result(), good(0))

    def test_from_a_thread_of_its_own(self, make_pair: MakePair, good: Make, bad: Make) -> None:
        pair = make_pair(keep_warm_s=0.001)
        for seed in range(6):
            pair.compare(bad(seed) if seed % 2 else good(seed))
        pair.cuda.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "edgeirf-keep-warm"]

    def test_ends_when_told_to(self) -> None:
        calls: list[int] = []
        done = threading.Event()

        def tick() -> bool:
            calls.append(len(calls))
            done.set()
            return len(calls) < 3

        KeepWarm(tick, 0.001)
        assert done.wait(10)
        for thread in threading.enumerate():
            if thread.name == "edgeirf-keep-warm":
                thread.join(10)
        assert calls == [0, 1, 2]


def _current() -> int:
    handle = ctypes.c_void_p()
    ctypes.CDLL("libcuda.so.1").cuCtxGetCurrent(ctypes.byref(handle))
    return handle.value or 0


class TestHostProgram:
    """The chain is a guest in a process that may use the GPU itself."""

    def test_no_context_is_left_current(self, make_pair: MakePair, good: Make) -> None:
        cuda = make_pair().cuda
        cuda.inspect(good(0))
        assert _current() == 0
        cuda.close()
        assert _current() == 0

    def test_a_context_of_the_host_stays_current(self, make_pair: MakePair, good: Make) -> None:
        pycuda.driver.init()
        host = pycuda.driver.Device(0).make_context()
        mine = _current()
        pair = make_pair()
        pair.compare(good(0))
        assert _current() == mine
        pair.cuda.close()
        assert _current() == mine
        host.pop()
        assert _current() == 0
        host.detach()

    def test_the_primary_context_survives_when_the_host_holds_it(self, make_pair: MakePair, good: Make) -> None:
        pycuda.driver.init()
        host = pycuda.driver.Device(0).retain_primary_context()
        host.push()
        memory = pycuda.driver.mem_alloc(16)
        cuda = make_pair().cuda
        cuda.inspect(good(0))
        cuda.close()
        assert driver_control.live() == {"memory": 1, "contexts": 1}
        memory.free()
        pycuda.driver.Context.pop()
        host.push()
        host.detach()
        ctypes.CDLL("libcuda.so.1").cuCtxPopCurrent_v2(None)

    def test_a_primary_context_that_the_host_has_set_stays_current(self, make_pair: MakePair, good: Make) -> None:
        """As torch and the CUDA runtime do it."""
        library, primary = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p()
        library.cuInit(0)
        library.cuDevicePrimaryCtxRetain(ctypes.byref(primary), 0)
        library.cuCtxSetCurrent(primary)
        pair = make_pair()
        pair.compare(good(0))
        assert _current() == primary.value
        pair.cuda.close()
        assert _current() == primary.value
        assert driver_control.live() == {"contexts": 1}
        library.cuCtxSetCurrent(None)
        library.cuDevicePrimaryCtxRelease_v2(0)

    def test_used_and_closed_from_other_threads(self, make_pair: MakePair, memory: str, good: Make, bad: Make) -> None:
        pair = make_pair()
        failures: list[BaseException] = []

        def work(seed: int) -> None:
            try:
                pair.compare(bad(seed, (70, 60 + seed)))
            except BaseException as error:
                failures.append(error)

        for seed in range(3):
            thread = threading.Thread(target=work, args=(seed,))
            thread.start()
            thread.join()
        closer = threading.Thread(target=pair.cuda.close)
        closer.start()
        closer.join()
        assert failures == []
        assert driver_control.live() == {}

    def test_two_models_at_once(self, make_pair: MakePair, good: Make, bad: Make) -> None:
        pairs = [make_pair(), make_pair(Preprocess(size=(64, 64)), Scoring(sigma=1.0))]
        for seed in range(3):
            for pair in pairs:
                pair.compare(bad(seed) if seed % 2 else good(seed))

    def test_closing_twice_and_using_it_after(self, make_pair: MakePair, good: Make) -> None:
        cuda = make_pair().cuda
        cuda.close()
        cuda.close()
        assert not cuda.tick()
        with pytest.raises(BackendError, match="load it again"):
            cuda.inspect(good(0))
