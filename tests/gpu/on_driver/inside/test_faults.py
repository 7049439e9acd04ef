"""The driver fails at any call: one clear error, nothing left behind, and a fresh executor works again."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import driver_control
import numpy as np
import pytest
from ort_engine import OrtEngine

from edgeirf.conformal import Limits
from edgeirf.errors import BackendError, EdgeirfError
from edgeirf.runtime.cuda.errors import GpuLostError, GpuOutOfMemoryError
from edgeirf.runtime.executors.base import inspect
from edgeirf.runtime.executors.gpu.executor import GpuExecutor
from edgeirf.settings import Preprocess, Scoring

SETTINGS, RULES = Preprocess(size=(64, 64)), Scoring(sigma=2.0)
FRAME = np.full((70, 80, 3), 90, np.uint8)
# When one of these fails once, what it should have given back stays; a driver that refuses to free cannot be helped.
FREEING = re.compile(r"cu(MemFree|MemFreeHost|GraphDestroy|GraphExecDestroy|DevicePrimaryCtxRelease|CtxPushCurrent)")


@pytest.fixture(scope="module")
def engine(tiny_onnx: bytes) -> OrtEngine:
    return OrtEngine(tiny_onnx, (1, 3, 64, 64))


def scenario(engine: OrtEngine) -> None:
    """A executor's whole life: load, prepare, inspect, map, heat map, two in flight, another shape, idle run, close."""
    executor = GpuExecutor(engine, SETTINGS, RULES, Limits(pixel_threshold=5.0), release=engine.close)
    try:
        executor.warm_up(FRAME.shape[:2], "bgr8")
        inspected = inspect(executor, FRAME)
        inspected.map.array()
        inspected.map.heat()
        pending = [executor.submit(FRAME), executor.submit(FRAME[:60])]
        for one in pending:
            one.result()
        if not executor.tick():
            inspect(executor, FRAME)
    finally:
        executor.close()


def calls_of(engine: OrtEngine) -> dict[str, int]:
    """Calls the scenario makes, by entry point, without those of the first one of a process alone (a second cuInit)."""
    scenario(engine)
    driver_control.reset()
    scenario(engine)
    return {name: number for name, number in driver_control.counts().items() if name.startswith("cu")}


def outcome(engine: OrtEngine, entry: str, nth: int, code: int) -> tuple[EdgeirfError | None, str]:
    """What the scenario raises when the nth call of ``entry`` fails, and which entry point that was."""
    raised = None
    driver_control.reset()
    # pycuda collects garbage and tries again when an allocation fails: memory is only used up when it stays so.
    driver_control.fail(entry, nth, code, times=100 if code == driver_control.OUT_OF_MEMORY and "Alloc" in entry else 1)
    try:
        scenario(engine)
    except EdgeirfError as error:
        raised = error
    failed = next((name for name in driver_control.counts() if name.startswith("injected:")), None)
    assert failed is not None, f"the scenario makes fewer than {nth} calls of {entry}"
    driver_control.reset()
    return raised, failed.removeprefix("injected:")


def check(engine: OrtEngine, entry: str, nth: int, code: int) -> None:
    """Asserts one clear error at most, and nothing left behind."""
    closed = engine.closed
    error, failed = outcome(engine, entry, nth, code)
    where = f"call {nth} of {entry} ({failed}): {error}"
    assert error is None or (isinstance(error, BackendError) and "\n" not in str(error)), where
    if not FREEING.match(failed):
        assert driver_control.live() == {}, where
        assert engine.closed - closed <= 1, where
    driver_control.sweep()


@pytest.mark.parametrize("code", [driver_control.OUT_OF_MEMORY, 400])
def test_every_call_refused_once(code: int, engine: OrtEngine, memory: str) -> None:
    for entry, number in calls_of(engine).items():
        for nth in range(1, number + 1):
            check(engine, entry, nth, code)
    scenario(engine)


@pytest.mark.parametrize("code", [driver_control.UNKNOWN, driver_control.LAUNCH_FAILED])
def test_the_gpu_is_lost_at_every_call(code: int, engine: OrtEngine, memory: str) -> None:
    for nth in range(1, sum(calls_of(engine).values()) + 1):
        check(engine, "*", nth, code)
    scenario(engine)


@pytest.mark.parametrize(
    ("entry", "code", "kind", "message"),
    [
        (
            "cuMemAlloc",
            driver_control.OUT_OF_MEMORY,
            GpuOutOfMemoryError,
            "ran out of memory while loading the model",
        ),
        ("cuEventSynchronize", driver_control.UNKNOWN, GpuLostError, "stopped answering while inspecting a frame"),
        ("cuEventSynchronize", driver_control.LAUNCH_FAILED, GpuLostError, "faulted while inspecting a frame"),
        ("cuGraphLaunch", driver_control.UNKNOWN, GpuLostError, "stopped answering while inspecting a frame"),
        ("cuDevicePrimaryCtxRetain", driver_control.OUT_OF_MEMORY, GpuOutOfMemoryError, "while opening it"),
        ("cuInit", 100, BackendError, "driver does not work"),
    ],
)
def test_messages(entry: str, code: int, kind: type[BackendError], message: str, engine: OrtEngine) -> None:
    error, _ = outcome(engine, entry, 1, code)
    driver_control.sweep()
    assert isinstance(error, kind)
    assert message in str(error)


def test_a_failed_executor_says_why_ever_after(engine: OrtEngine) -> None:
    executor = GpuExecutor(engine, SETTINGS, RULES)
    pending = executor.submit(FRAME)
    driver_control.fail("cuEventSynchronize", 1, driver_control.UNKNOWN)
    with pytest.raises(GpuLostError):
        inspect(executor, FRAME)
    assert driver_control.live() == {}
    for call in (lambda: inspect(executor, FRAME), lambda: executor.submit(FRAME), pending.result):
        with pytest.raises(BackendError, match=r"no longer runs .*stopped answering.*load it again"):
            call()
    assert not executor.tick()
    executor.close()


def test_a_real_fault_of_a_kernel(engine: OrtEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network writes past its output: the stand-in's fences notice, as the GPU's memory protection would."""
    executor = GpuExecutor(engine, SETTINGS, RULES)
    inspect(executor, FRAME)
    monkeypatch.setattr(engine, "output_shape", (1, 4, 9, 8))
    monkeypatch.setattr(engine, "_infer", lambda batch: np.zeros((1, 4, 9, 8), np.float32))
    with pytest.raises(GpuLostError, match="faulted"):
        inspect(executor, FRAME)
    assert driver_control.live() == {}


def test_the_engine_fails(engine: OrtEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(stream: int) -> None:
        raise BackendError("TensorRT 10.3 failed: no reason")

    monkeypatch.setattr(engine, "enqueue", refuse)
    executor = GpuExecutor(engine, SETTINGS, RULES, release=engine.close)
    before = engine.closed
    with pytest.raises(BackendError, match="no reason"):
        inspect(executor, FRAME)
    assert engine.closed == before + 1
    assert driver_control.live() == {}


def test_a_second_process_works_meanwhile(engine: OrtEngine) -> None:
    executor = GpuExecutor(engine, SETTINGS, RULES)
    inspect(executor, FRAME)
    script = "import test_faults, ort_engine, sys; e = ort_engine.OrtEngine(sys.stdin.buffer.read(), (1, 3, 64, 64))"
    graph = engine.graph
    done = subprocess.run(
        [sys.executable, "-c", f"{script}; test_faults.scenario(e); print(e.closed)"],
        input=graph, capture_output=True, check=False, env=os.environ.copy(),
    )  # fmt: skip
    assert done.stdout.strip() == b"1", done.stderr.decode()
    inspect(executor, FRAME)
    executor.close()


def test_no_gpu_and_no_driver(engine: OrtEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import numpy as np
from edgeirf.errors import BackendError
from edgeirf.runtime.cuda.context import CudaContext
try:
    CudaContext()
except BackendError as error:
    print(error)
"""
    bare = {name: value for name, value in os.environ.items() if name not in ("LD_LIBRARY_PATH",)}
    missing = subprocess.run([sys.executable, "-c", script], env=bare, capture_output=True, text=True, check=False)
    assert missing.stdout.strip() == "there is no NVIDIA driver (libcuda.so.1 is missing): install it"
