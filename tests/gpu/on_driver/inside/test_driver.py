"""The stand-in driver shows what a real one may hide: each test does one thing wrong."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import driver_control
import numpy as np
import pycuda.driver as cuda
import pytest

from edgeirf.runtime.cuda.compiler import find_compiler
from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.cuda.errors import CudaError
from edgeirf.runtime.cuda.graph import CudaGraph
from edgeirf.runtime.kernels import plan_overlay, plan_postprocess
from edgeirf.runtime.kernels.ptx import shipped
from edgeirf.settings import Scoring


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
    stream.synchronize()
    assert (read(memory) == 1).all()


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


@pytest.mark.parametrize(("mode", "answers"), [("global", (900, 900)), ("local", (900, 0)), ("relaxed", (0, 0))])
def test_whose_allocations_spoil_a_capture(mode: str, answers: tuple[int, int], context: CudaContext) -> None:
    """This thread's and another one's: why the runtime captures in thread-local mode, as a guest in a process."""
    library, stream, found = ctypes.CDLL("libcuda.so.1"), cuda.Stream(1), []

    def allocate() -> None:
        memory = ctypes.c_void_p()
        with context.current():
            found.append(library.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(64)))
            library.cuMemFree_v2(memory)

    for elsewhere in (False, True):
        kind = ["global", "local", "relaxed"].index(mode)
        assert library.cuStreamBeginCapture_v2(ctypes.c_void_p(stream.handle), kind) == 0
        thread = threading.Thread(target=allocate)
        thread.start() if elsewhere else allocate()
        if elsewhere:
            thread.join()
        assert end_capture(stream) == (901 if found[-1] else 0)
    assert tuple(found) == answers


def test_a_stream_that_is_captured_is_not_asked_whether_it_is_done(context: CudaContext) -> None:
    stream = cuda.Stream(1)
    capture(stream)
    assert "STREAM_CAPTURE_UNSUPPORTED" in refused(stream.is_done)
    assert end_capture(stream) == 901


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


LIBRARY = ctypes.CDLL("libcuda.so.1")


def capture(stream: Any) -> None:
    assert LIBRARY.cuStreamBeginCapture_v2(ctypes.c_void_p(stream.handle), 1) == 0


def end_capture(stream: Any) -> int:
    graph = ctypes.c_void_p()
    answer = LIBRARY.cuStreamEndCapture(ctypes.c_void_p(stream.handle), ctypes.byref(graph))
    if graph:
        LIBRARY.cuGraphDestroy(graph)
    return int(answer)


@pytest.mark.parametrize("schedule", ["lazy", "others", "random"])
def test_a_fork_that_is_joined_is_captured_with_its_edges(schedule: str, host: np.ndarray) -> None:
    """Two branches may run in any order, and what joins them after both."""
    driver_control.schedule(schedule, seed=4)
    memory, twin, out = cuda.mem_alloc(256), cuda.mem_alloc(256), cuda.pagelocked_empty(128, np.float32)
    origin, side, fork, join = cuda.Stream(1), cuda.Stream(1), cuda.Event(), cuda.Event()

    def record() -> None:
        fork.record(origin)
        side.wait_for_event(fork)
        cuda.memcpy_htod_async(memory, host, origin)
        cuda.memcpy_htod_async(twin, host, side)
        join.record(side)
        origin.wait_for_event(join)
        cuda.memcpy_dtoh_async(out[:64], memory, origin)
        cuda.memcpy_dtoh_async(out[64:], twin, origin)

    graph = CudaGraph(origin, record)
    host[:] = 5
    graph.launch(origin)
    origin.synchronize()
    assert graph.nodes == 4
    assert (out == 5).all()
    graph.free()


def test_a_fork_that_is_not_joined_is_no_graph(host: np.ndarray) -> None:
    memory, origin, side, fork = cuda.mem_alloc(256), cuda.Stream(1), cuda.Stream(1), cuda.Event()
    capture(origin)
    fork.record(origin)
    side.wait_for_event(fork)
    cuda.memcpy_htod_async(memory, host, side)
    assert end_capture(origin) == 904
    cuda.memcpy_htod_async(memory, host, side)  # it has left the capture
    side.synchronize()


def test_a_capture_ends_on_the_stream_where_it_began(context: CudaContext) -> None:
    origin, side, fork = cuda.Stream(1), cuda.Stream(1), cuda.Event()
    capture(origin)
    fork.record(origin)
    side.wait_for_event(fork)
    assert end_capture(side) == 903
    assert end_capture(origin) == 901


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(cuda.Error) as raised:
        call()
    return str(raised.value)


def test_events_do_not_cross_the_border_of_a_capture(context: CudaContext) -> None:
    stream, other, outside, inside = cuda.Stream(1), cuda.Stream(1), cuda.Event(), cuda.Event()
    outside.record(other)
    capture(stream)
    assert "STREAM_CAPTURE_ISOLATION" in refused(lambda: stream.wait_for_event(outside))
    assert end_capture(stream) == 901
    capture(stream)
    inside.record(stream)
    assert "CAPTURED_EVENT" in refused(inside.query)
    assert end_capture(stream) == 901


def test_two_captures_do_not_become_one(context: CudaContext) -> None:
    first, second, event = cuda.Stream(1), cuda.Stream(1), cuda.Event()
    capture(first)
    capture(second)
    event.record(first)
    assert "STREAM_CAPTURE_MERGE" in refused(lambda: second.wait_for_event(event))
    assert (end_capture(first), end_capture(second)) == (901, 901)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_writing_to_memory_that_queued_work_needs_is_a_fault(direction: str) -> None:
    """The GPU would read half of one frame and half of the next."""
    copy = "cuda.memcpy_htod_async(m, h, s)" if direction == "up" else "cuda.memcpy_dtoh_async(h, m, s)"
    script = f"""
import numpy as np, pycuda.driver as cuda
from edgeirf.runtime.cuda.compiler import find_compiler
from edgeirf.runtime.cuda.context import CudaContext
with CudaContext().current():
    h, m, s = cuda.pagelocked_empty(64, np.float32), cuda.mem_alloc(256), cuda.Stream(1)
    {copy}
    h.sum()
    s.synchronize()
    h[:] = 1
    {copy}
    print("soon", flush=True)
    h[:] = 2
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGSEGV, "soon\n"), done.stderr


@pytest.fixture(scope="module")
def cubin() -> bytes:
    """Of CUDA 13, for an Orin."""
    compiler = find_compiler()
    if compiler.cuda < 13:
        pytest.skip(f"needs a compiler of CUDA 13, not {compiler.version}")
    return compiler.compile("overlay.cu", "sm_87")


@pytest.mark.parametrize(
    ("driver", "sm", "code", "error"),
    [
        (13000, 87, "cubin", None),
        (13000, 89, "cubin", None),  # the same major capability, a later minor one
        (13000, 86, "cubin", "NO_BINARY_FOR_GPU"),
        (13000, 110, "cubin", "NO_BINARY_FOR_GPU"),
        (12060, 87, "cubin", "INVALID_IMAGE"),  # JetPack 6 does not load what CUDA 13 compiles
        (12060, 87, "ptx", None),
        (12040, 89, "ptx", None),
        (13000, 110, "ptx", None),
        (12020, 87, "ptx", "PTX_VERSION"),
        (12060, 87, "ptx of CUDA 13", "PTX_VERSION"),  # what nvcc writes of itself
        (13000, 72, "ptx", "NO_BINARY_FOR_GPU"),
        (13000, 87, "nothing", "INVALID_IMAGE"),
    ],
)
def test_code_is_of_the_right_gpu_and_toolkit(
    driver: int, sm: int, code: str, error: str | None, cubin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ptx = shipped("overlay.cu")
    images = {"cubin": cubin, "ptx": ptx, "ptx of CUDA 13": ptx.replace(b".version 8.3", b".version 9.0")}
    monkeypatch.setenv("STANDIN_DRIVER", str(driver))
    monkeypatch.setenv("STANDIN_SM", str(sm))
    context = CudaContext()
    with context.current():
        if error is None:
            cuda.module_from_buffer(images[code])
        else:
            with pytest.raises(cuda.Error, match=error):
                cuda.module_from_buffer(images.get(code, b"nothing at all"))
    context.close()


def test_a_launch_asks_for_what_there_is(context: CudaContext, cubin: bytes) -> None:
    function = cuda.module_from_buffer(cubin).get_function("overlay")
    plan = plan_overlay((4, 4), "bgr8", (0, 0, 4, 4), (4, 4), 1.0)
    memory = {name: cuda.mem_alloc(size) for name, size in plan.buffers.items()}
    for name, block in memory.items():
        plan.args[name] = int(block)
    whole, stream = plan.args.tobytes(), cuda.Stream(1)
    shape = {"grid": (1, 1, 1), "block": (32, 1, 1)}

    def launch(parameters: bytes, shared: int = 0) -> None:
        function(np.void(parameters), shared=shared, stream=stream, **shape)

    for wrong in (lambda: launch(whole[:-8]), lambda: launch(bytes(32768)), lambda: launch(whole, 49153)):
        with pytest.raises(cuda.LogicError, match="cuLaunchKernel failed"):
            wrong()
    function.set_attribute(cuda.function_attribute.MAX_DYNAMIC_SHARED_SIZE_BYTES, 65536)
    launch(whole, 65536)
    with pytest.raises(cuda.LogicError):
        launch(whole, 65537)


def test_static_and_dynamic_shared_memory_count_together(context: CudaContext) -> None:
    compiler = find_compiler()
    plan = plan_postprocess(Scoring(), (1, 4, 8, 8), (1, 1), (64, 64), "float32")
    function = cuda.module_from_buffer(compiler.compile("postprocess.cu", "sm_87")).get_function("postprocess")
    static = function.get_attribute(cuda.function_attribute.SHARED_SIZE_BYTES)
    assert 8192 < static < 49152
    with pytest.raises(cuda.LogicError, match="cuLaunchKernel failed"):
        function(np.void(plan.args.tobytes()), grid=(1, 1, 1), block=(32, 1, 1), shared=49153 - static)


@pytest.mark.parametrize(("driver", "answer"), [(12020, 900), (12030, 0)])
def test_the_first_launch_of_a_kernel_in_a_capture(driver: int, answer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_DRIVER", str(driver))
    context = CudaContext()
    with context.current():
        old = shipped("overlay.cu").replace(b".version 8.3", b".version 8.2")
        function, stream = cuda.module_from_buffer(old).get_function("overlay"), cuda.Stream(1)
        arguments = np.void(plan_overlay((4, 4), "bgr8", (0, 0, 4, 4), (4, 4), 1.0).args.tobytes())
        capture(stream)
        try:
            function(arguments, grid=(1, 1, 1), block=(32, 1, 1), stream=stream)
            found = 0
        except cuda.LogicError:
            found = 900
        assert found == answer
        assert end_capture(stream) == (901 if answer else 0)
    context.close()


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
