"""How the GPU executor works: launches, waits, allocations, captures, frames in flight, maps, threads and contexts."""

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
from edgeirf.runtime.cuda.compiler import fitting_compilers
from edgeirf.runtime.executors.gpu.keep_warm import KeepWarm
from edgeirf.settings import Preprocess, Scoring

Make = Callable[..., np.ndarray]


def test_a_frame_costs_two_kernels_one_graph_launch_and_one_wait(make_pair: MakePair, memory: str, good: Make) -> None:
    pair = make_pair()
    pair.cuda.inspect(good(0))
    driver_control.reset()
    for seed in range(3):
        pair.cuda.inspect(good(seed))
    assert driver_control.counts() == {
        "cuCtxPushCurrent": 6,  # submit() and result()
        "cuCtxPopCurrent": 6,
        "cuGraphLaunch": 3,
        "cuEventRecord": 3,
        "cuEventSynchronize": 3,
        "graph_launches": 3,
        "host_functions": 3,  # the network
        "kernels": 6,
        "synchronisations": 3,
        **({"bytes_up": 3 * 64 * 64 * 3} if memory == "discrete" else {}),
    }


def test_nothing_is_allocated_for_a_frame(make_pair: MakePair, memory: str, good: Make, bad: Make) -> None:
    pair = make_pair()
    for seed in range(2):
        pair.cuda.start(good(seed))
        pair.cuda.start(bad(seed))
        pair.cuda.next(), pair.cuda.next()
        pair.cuda.inspect(good(seed))
        if seed == 0:
            driver_control.reset()
    asked = {name for name in driver_control.counts() if "Alloc" in name or "Create" in name or "Capture" in name}
    assert asked == set()
    assert driver_control.count("device_allocations") == driver_control.count("pinned_allocations") == 0


@pytest.mark.parametrize(
    ("driver", "sm", "integrated"), [(12040, 89, 0), (12060, 87, 1), (13000, 110, 1)], ids=["Ada", "Orin", "Thor"]
)
def test_every_gpu_gets_code_that_its_driver_takes(
    driver: int, sm: int, integrated: int, make_pair: MakePair, bad: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("DRIVER", driver), ("SM", sm), ("INTEGRATED", integrated)):
        monkeypatch.setenv(f"STANDIN_{name}", str(value))
    pair = make_pair()
    pair.compare(bad(0))
    assert set(pair.cuda._gpu.kernels.compilers.values()) == {fitting_compilers(driver // 1000)[0].version}


def test_one_execution_context_is_not_on_two_streams(make_pair: MakePair, good: Make) -> None:
    """Each frame in flight is queued on the one stream; an engine on a second one is refused."""
    pair = make_pair()
    pair.cuda.inspect(good(0))
    with pair.cuda._gpu.context.current():
        first, second = pair.cuda._gpu.compute, pair.cuda._gpu.copy
        pair.engine.enqueue(int(first.handle))
        with pytest.raises(BackendError, match="at work on another stream"):
            pair.engine.enqueue(int(second.handle))
        first.synchronize()
        pair.engine.enqueue(int(second.handle))
        second.synchronize()
    pair.compare(good(1))


def test_a_camera_that_is_known_costs_its_first_frames_nothing(make_pair: MakePair, memory: str, bad: Make) -> None:
    pair = make_pair()
    pair.cuda.warm_up((90, 80), "bgr8")
    driver_control.reset()
    pair.cuda.start(bad(0, (90, 80)))
    pair.cuda.start(bad(1, (90, 80)))
    pair.cuda.next(), pair.cuda.next()
    assert driver_control.count("graph_captures") == driver_control.count("device_allocations") == 0
    assert driver_control.count("synchronisations") == 2
    with pytest.raises(FrameError, match="does not cover"):
        make_pair(Preprocess(size=(32, 32), roi=(2, 2, 30, 30))).cuda.warm_up((20, 20), "bgr8")


@pytest.mark.parametrize("schedule", driver_control.SCHEDULES)
def test_two_frames_in_flight(schedule: str, make_pair: MakePair, memory: str, good: Make, bad: Make) -> None:
    pair = make_pair()
    driver_control.schedule(schedule, seed=3)
    frames = [bad(seed, (90, 80)) if seed % 3 else good(seed, (90, 80)) for seed in range(7)]
    pair.cuda.start(frames[0])
    for now, following in zip(frames, [*frames[1:], None], strict=True):
        if following is not None:
            pair.cuda.start(following)
        pair.agree(pair.cuda.next(), now)


@pytest.mark.parametrize("schedule", driver_control.SCHEDULES)
def test_one_frame_after_the_other(schedule: str, make_pair: MakePair, memory: str, good: Make, bad: Make) -> None:
    pair = make_pair()
    driver_control.schedule(schedule, seed=5)
    for frame in (good(0), bad(1), good(2, (80, 80)), bad(3, (50, 60))):
        pair.compare(frame)


def test_shapes_change_while_a_frame_is_in_flight(make_pair: MakePair, discrete: None, good: Make, bad: Make) -> None:
    pair = make_pair()
    frames = [bad(0, (60, 60)), good(1, (120, 90)), bad(2, (200, 100)), good(3, (60, 60)), bad(4, (61, 59))]
    pair.cuda.start(frames[0])
    for now, following in itertools.pairwise(frames):
        pair.cuda.start(following)
        pair.agree(pair.cuda.next(), now)
    pair.agree(pair.cuda.next(), frames[-1])


def test_frames_in_flight_are_at_most_two_and_each_result_is_taken_once(make_pair: MakePair, good: Make) -> None:
    cuda = make_pair().cuda
    first, second = cuda.submit(good(0)), cuda.submit(good(1))
    with pytest.raises(UsageError, match="take a result"):
        cuda.submit(good(2))
    with pytest.raises(UsageError, match="take a result"):
        cuda.warm_up((64, 64), "bgr8")
    assert second.result().score != first.result().score
    with pytest.raises(UsageError, match="taken before"):
        first.result()


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
            pair.cuda.warm_up((side, side), "bgr8")
            before = driver_control.count("kernels")
            assert pair.cuda.tick()
            assert driver_control.count("kernels") == before + 2
            pair.compare(bad(0, (side, side)))

    def test_not_while_frames_are_in_flight(self, make_pair: MakePair, good: Make) -> None:
        pair = make_pair()
        pair.cuda.start(good(0))
        driver_control.reset()
        assert pair.cuda.tick()
        assert driver_control.counts() == {}
        pair.agree(pair.cuda.next(), good(0))

    def test_from_a_thread_of_its_own(self, make_pair: MakePair, good: Make, bad: Make) -> None:
        pair = make_pair(keep_warm_s=0.001)
        for seed in range(6):
            pair.compare(bad(seed) if seed % 2 else good(seed))
        pair.cuda.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "edgeirf-keep-warm"]

    def test_not_on_a_busy_line(self, make_pair: MakePair, good: Make) -> None:
        pair = make_pair(keep_warm_s=60.0)
        pair.cuda.inspect(good(0))
        launched = driver_control.count("graph_launches")
        assert pair.cuda.tick()
        assert driver_control.count("graph_launches") == launched

    def test_captures_nothing(self, make_pair: MakePair, memory: str, good: Make) -> None:
        """A capture at a moment that nobody chose would stand in the host program's way."""
        pair = make_pair()
        pair.cuda.inspect(good(0))
        driver_control.reset()
        assert pair.cuda.tick()
        assert driver_control.count("graph_captures") == 0
        assert driver_control.count("kernels") == 2

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
    """The executor is a guest in a process that may use the GPU itself."""

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

    def test_others_may_copy_while_a_graph_is_captured(
        self, make_pair: MakePair, discrete: None, good: Make, bad: Make
    ) -> None:
        """A plain copy of another thread, as torch makes it, and a map of another executor."""
        pair, other = make_pair(), make_pair()
        held, library, answers = other.cuda.inspect(bad(0)), ctypes.CDLL("libcuda.so.1"), []
        enqueue = pair.engine.enqueue

        def work() -> None:
            context, memory = ctypes.c_void_p(), ctypes.c_void_p()
            library.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
            library.cuCtxSetCurrent(context)
            answers.append(library.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(64)))
            answers.append(library.cuMemcpyHtoD_v2(memory, ctypes.create_string_buffer(64), ctypes.c_size_t(64)))
            library.cuMemFree_v2(memory)
            library.cuCtxSetCurrent(None)
            library.cuDevicePrimaryCtxRelease_v2(0)
            other.agree(held, bad(0))
            answers.append(0)

        def while_capturing(stream: int) -> None:
            capturing = ctypes.c_int()
            library.cuStreamIsCapturing(ctypes.c_void_p(stream), ctypes.byref(capturing))
            if capturing.value and not answers:
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()
            enqueue(stream)

        pair.engine.enqueue = while_capturing  # type: ignore[method-assign]
        pair.compare(good(0))
        assert answers == [0, 0, 0]
        other.compare(good(1))

    @pytest.mark.parametrize("entry", ["cuMemcpyDtoH", "cuEventSynchronize", "cuGraphLaunch"])
    def test_its_context_stays_current_when_the_executor_fails(
        self, entry: str, make_pair: MakePair, discrete: None, good: Make, bad: Make
    ) -> None:
        pycuda.driver.init()
        host = pycuda.driver.Device(0).make_context()
        mine, pair = _current(), make_pair()
        held = pair.cuda.inspect(bad(0))
        driver_control.fail(entry, 1, 400)
        with pytest.raises(BackendError, match="refused while inspecting a frame"):
            pair.cuda.inspect(good(0))
        assert _current() == mine
        del held
        host.pop()
        host.detach()

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
