"""When frames run as one CUDA graph, and what spoils or forbids a capture."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable

import driver_control
import numpy as np
import pytest
from pairs import MakePair

from edgeirf.errors import BackendError
from edgeirf.runtime.executors.exclusive import EXCLUSIVE

Make = Callable[..., np.ndarray]


def test_captured_again_only_for_another_shape_or_format(make_pair: MakePair, good: Make) -> None:
    pair = make_pair()
    captures = []
    for shape, pixel_format in [((64, 64), None), ((64, 64), "bgr8"), ((80, 70), None), ((80, 70), "rgb8")]:
        driver_control.reset()
        pair.compare(good(0, shape), pixel_format)
        captures.append(driver_control.count("graph_captures"))
    assert captures == [1, 0, 1, 1]


@pytest.mark.parametrize("entry", ["cuStreamBeginCapture", "cuGraphInstantiate"])
def test_without_graphs_frames_are_queued_call_by_call(
    entry: str, make_pair: MakePair, memory: str, good: Make, bad: Make, caplog: pytest.LogCaptureFixture
) -> None:
    pair = make_pair()
    driver_control.fail(entry, 1, 801, times=1000)
    with caplog.at_level("WARNING", "edgeirf"):
        pair.compare(bad(0))
        pair.cuda.start(good(1))
        pair.cuda.start(bad(2))
        pair.agree(pair.cuda.next(), good(1))
        pair.agree(pair.cuda.next(), bad(2))
        assert pair.cuda.tick()
        pair.compare(bad(3))
    assert driver_control.count("graph_launches") == 0
    assert "no CUDA graph" in caplog.text


def test_a_capture_that_was_spoilt_is_tried_again(make_pair: MakePair, memory: str, good: Make) -> None:
    """Another thread of the host program waits for the context at that moment (NVIDIA/TensorRT issue 2888)."""
    pair = make_pair()
    real, answers = pair.engine.enqueue, []

    def wait_for_the_context() -> None:
        with pair.cuda._gpu.context.current():
            answers.append(ctypes.CDLL("libcuda.so.1").cuCtxSynchronize())

    def enqueue(stream: int) -> None:
        if len(answers) < 2:  # the plain run, then the first capture
            thread = threading.Thread(target=wait_for_the_context)
            thread.start()
            thread.join()
        real(stream)

    pair.engine.enqueue = enqueue
    for seed in range(6):
        pair.compare(good(seed))
    assert answers == [0, 900]
    assert pair.cuda.launches.single in (2, 3)
    assert pair.cuda.launches.graph >= 3
    assert pair.cuda.graph_nodes() > 2


def test_nothing_is_captured_while_an_engine_is_built(make_pair: MakePair, good: Make) -> None:
    """A frame does not wait for the build either."""
    pair = make_pair()
    built, holding = threading.Event(), threading.Event()

    def build() -> None:
        with EXCLUSIVE:
            holding.set()
            built.wait(60)

    builder = threading.Thread(target=build)
    builder.start()
    assert holding.wait(60)
    pair.compare(good(0))
    assert pair.cuda.launches == (0, 1)
    assert driver_control.count("cuStreamBeginCapture") == 0
    built.set()
    builder.join()
    pair.compare(good(1))
    assert pair.cuda.launches == (1, 1)


def test_an_engine_that_cannot_be_captured_is_not(
    make_pair: MakePair, good: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pair = make_pair()
    monkeypatch.setattr(pair.engine, "capturable", lambda stream: False)
    pair.compare(good(0))
    assert driver_control.count("cuStreamBeginCapture") == 0
    assert "this engine cannot be captured" in caplog.text


@pytest.mark.parametrize("schedule", driver_control.SCHEDULES)
def test_an_engine_with_streams_of_its_own_is_captured_too(
    schedule: str, make_pair: MakePair, memory: str, good: Make, bad: Make
) -> None:
    pair = make_pair(auxiliary=True)
    driver_control.schedule(schedule, seed=2)
    for frame in (good(0), bad(1), good(2)):
        pair.compare(frame)
    assert pair.cuda.launches == (3, 0)


def test_an_engine_that_fails_in_a_capture_costs_the_graph_and_no_verdict(make_pair: MakePair, good: Make) -> None:
    """enqueueV3 gives False and leaves the capture invalid, as where TensorRT wants to allocate in it."""
    pair = make_pair()
    real, failed = pair.engine.enqueue, []

    def enqueue(stream: int) -> None:
        library, status = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
        library.cuStreamIsCapturing(ctypes.c_void_p(stream), ctypes.byref(status))
        if status.value and not failed:
            failed.append(library.cuStreamSynchronize(ctypes.c_void_p(stream)))
            raise BackendError("TensorRT failed: it gave no reason")
        real(stream)

    pair.engine.enqueue = enqueue
    for seed in range(4):
        pair.compare(good(seed))
    assert failed == [900]
    assert pair.cuda.launches.graph >= 1
    assert pair.cuda.launches.single >= 1
