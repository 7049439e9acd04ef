"""The stand-in driver shows what a real one may hide: each test does one thing wrong."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from typing import Any

import driver_control
import numpy as np
import pycuda.driver as cuda
import pytest

from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.cuda.errors import CudaError
from edgeirf.runtime.cuda.graph import CudaGraph


@pytest.fixture
def context() -> Iterator[CudaContext]:
    """A current context."""
    made = CudaContext()
    with made.current():
        yield made
    made.close()


@pytest.fixture
def host(context: CudaContext) -> np.ndarray:
    return cuda.pagelocked_empty(64, np.float32)


def read(memory: Any) -> np.ndarray:
    out = np.empty(64, np.float32)
    cuda.memcpy_dtoh(out, memory)
    return out


def test_new_memory_is_poisoned(host: np.ndarray) -> None:
    assert np.isnan(host).all()
    assert np.isnan(read(cuda.mem_alloc(256))).all()


def test_a_copy_waits_for_a_synchronisation(host: np.ndarray) -> None:
    memory, stream = cuda.mem_alloc(256), cuda.Stream(1)
    host[:] = 1
    cuda.memcpy_htod_async(memory, host, stream)
    assert np.isnan(read(memory)).all()
    host[:] = 2  # too early: the copy has not been made
    stream.synchronize()
    assert (read(memory) == 2).all()


def test_data_filled_in_after_the_copy_was_queued(host: np.ndarray) -> None:
    driver_control.schedule("eager")
    memory, stream = cuda.mem_alloc(256), cuda.Stream()
    cuda.memcpy_htod_async(memory, host, stream)
    host[:] = 1
    stream.synchronize()
    assert np.isnan(read(memory)).all()


@pytest.mark.parametrize(
    ("schedule", "waits", "fresh"), [("lazy", False, False), ("lazy", True, True), ("others", True, True)]
)
def test_a_stream_that_waits_for_another(schedule: str, waits: bool, fresh: bool, host: np.ndarray) -> None:
    driver_control.schedule(schedule)
    memory, up, down, event = cuda.mem_alloc(256), cuda.Stream(1), cuda.Stream(1), cuda.Event()
    out = cuda.pagelocked_empty(64, np.float32)
    host[:] = 1
    cuda.memcpy_htod_async(memory, host, up)
    event.record(up)
    if waits:
        down.wait_for_event(event)
    cuda.memcpy_dtoh_async(out, memory, down)
    down.synchronize()
    assert (out == 1).all() == fresh


def test_the_default_stream_waits_for_the_others_and_they_for_it(host: np.ndarray) -> None:
    memory, stream = cuda.mem_alloc(256), cuda.Stream()
    host[:] = 3
    cuda.memcpy_htod_async(memory, host, stream)
    assert (read(memory) == 3).all()


@pytest.mark.parametrize("size", [65, 1000])
def test_copies_stay_inside_their_memory(size: int, host: np.ndarray) -> None:
    memory = cuda.mem_alloc(256)
    with pytest.raises(cuda.LogicError):
        cuda.memcpy_dtoh(np.empty(size, np.float32), memory)
    with pytest.raises(cuda.LogicError):
        cuda.memcpy_htod(memory, np.empty(size, np.float32))


def test_asynchronous_copies_want_page_locked_memory(context: CudaContext) -> None:
    with pytest.raises(cuda.LogicError):
        cuda.memcpy_htod_async(cuda.mem_alloc(256), np.zeros(64, np.float32), cuda.Stream())


def test_a_graph_reads_the_host_when_it_runs(host: np.ndarray) -> None:
    memory, stream = cuda.mem_alloc(256), cuda.Stream()
    graph = CudaGraph(stream, lambda: cuda.memcpy_htod_async(memory, host, stream))
    assert np.isnan(read(memory)).all()
    for value in (1, 2):
        host[:] = value
        graph.launch(stream)
        stream.synchronize()
        assert (read(memory) == value).all()
    graph.free()


@pytest.mark.parametrize("forbidden", ["allocation", "synchronisation", "synchronous copy", "default stream"])
def test_what_spoils_a_capture(forbidden: str, host: np.ndarray) -> None:
    memory, stream = cuda.mem_alloc(256), cuda.Stream()
    acts = {
        "allocation": lambda: cuda.mem_alloc(16),
        "synchronisation": stream.synchronize,
        "synchronous copy": lambda: cuda.memcpy_htod(memory, host),
        "default stream": lambda: cuda.memset_d8_async(int(memory), 0, 16),
    }

    def record() -> None:
        try:
            acts[forbidden]()
        except cuda.Error:
            return  # even a program that carries on has no graph
        raise AssertionError("the driver let it pass")

    with pytest.raises(CudaError, match="cuStreamEndCapture"):
        CudaGraph(stream, record)
    cuda.memcpy_htod_async(memory, host, stream)  # the stream works again
    stream.synchronize()
    assert driver_control.live().get("graphs") is None


def test_a_wait_for_the_context_spoils_a_capture_of_any_thread(context: CudaContext) -> None:
    stream, answers = cuda.Stream(), []

    def wait() -> None:
        with context.current():
            answers.append(ctypes.CDLL("libcuda.so.1").cuCtxSynchronize())

    def record() -> None:
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()

    with pytest.raises(CudaError, match="cuStreamEndCapture"):
        CudaGraph(stream, record)
    assert answers == [900]


def test_a_capture_ends_in_the_thread_that_began_it(context: CudaContext) -> None:
    library, stream, graph = ctypes.CDLL("libcuda.so.1"), cuda.Stream(), ctypes.c_void_p()
    handle, answers = ctypes.c_void_p(stream.handle), []
    library.cuStreamBeginCapture_v2(handle, 1)

    def end() -> None:
        with context.current():
            answers.append(library.cuStreamEndCapture(handle, ctypes.byref(graph)))

    thread = threading.Thread(target=end)
    thread.start()
    thread.join()
    assert answers == [908]
    assert library.cuStreamEndCapture(handle, ctypes.byref(graph)) == 0
    library.cuGraphDestroy(graph)


def test_host_functions_must_not_call_the_driver(context: CudaContext) -> None:
    answers: list[int] = []
    library = ctypes.CDLL("libcuda.so.1")
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: answers.append(library.cuCtxSynchronize()))
    stream = cuda.Stream()
    library.cuLaunchHostFunc(ctypes.c_void_p(stream.handle), function, None)
    assert answers == []
    stream.synchronize()
    assert answers == [800]


def test_an_injected_loss_is_sticky(host: np.ndarray) -> None:
    stream = cuda.Stream()
    driver_control.fail("cuStreamSynchronize", 2, driver_control.UNKNOWN)
    stream.synchronize()
    for _ in range(2):
        with pytest.raises(cuda.Error, match="unknown error"):
            stream.synchronize()
    driver_control.sweep()
