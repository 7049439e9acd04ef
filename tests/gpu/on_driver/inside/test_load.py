"""``edgeirf.load(device="tensorrt")``: the real back end and chain, with ONNX Runtime in the engine's place."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import driver_control
import numpy as np
import pytest
from ort_engine import OrtEngine

import edgeirf
from edgeirf.errors import BackendError, FrameError
from edgeirf.runtime.bench.measure import Workload, overlapped
from edgeirf.runtime.cuda import modules
from edgeirf.runtime.cuda.context import set_waiting
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.gpu import keep_warm as keepwarm
from edgeirf.runtime.executors.gpu.executor import GpuExecutor

Make = Callable[..., np.ndarray]


@pytest.fixture(autouse=True)
def given_back(engines: list[OrtEngine]) -> Iterator[None]:
    """On the GPU's path, and nothing is left of it."""
    yield
    assert [engine.closed for engine in engines] == [1] * len(engines)


@pytest.mark.parametrize("device", ["tensorrt", "auto"])
def test_verdicts_equal_those_of_the_cpu(device: str, tiny_path: Path, good: Make, bad: Make, memory: str) -> None:
    with edgeirf.load(tiny_path, device) as gpu, edgeirf.load(tiny_path, "cpu", threads=1) as cpu:
        assert isinstance(gpu.executor, GpuExecutor)
        for frame in (good(500, (90, 80)), bad(501, (90, 80))):
            verdict, expected = gpu(frame), cpu(frame)
            assert verdict.reject == expected.reject
            assert verdict.p_value == expected.p_value
            assert verdict.score == pytest.approx(expected.score, rel=1e-3)
            assert [vars(r) | {"peak": 0} for r in verdict.regions] == [vars(r) | {"peak": 0} for r in expected.regions]
            np.testing.assert_allclose(verdict.map(), expected.map(), rtol=1e-3, atol=1e-3)
            assert verdict.latency_ms["total"] == pytest.approx(
                verdict.latency_ms["upload"] + verdict.latency_ms["inference"]
            )


def test_bench_keeps_two_frames_in_flight(tiny_path: Path, good: Make, memory: str) -> None:
    with edgeirf.load(tiny_path, "tensorrt") as detector:
        before = detector(good(2)).score
        assert overlapped(detector, Workload([good(0), good(1)], steady=5)) > 0
        assert detector.in_flight == 0
        assert detector(good(2)).score == before


def test_without_a_compiler_the_engine_still_runs(
    tiny_path: Path, bad: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(*_: object) -> bytes:
        raise BackendError("no CUDA compiler for the kernels")

    monkeypatch.setattr(modules, "machine_code", missing)
    with caplog.at_level(logging.WARNING, "edgeirf"), edgeirf.load(tiny_path, "tensorrt") as detector:
        assert isinstance(detector.executor, CpuExecutor)
        assert "stay on the CPU: the kernels do not run on stand-in (sm_87): " in caplog.text
        assert detector(bad(0)).reject


def test_kept_warm(tiny_path: Path, good: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepwarm, "INTERVAL_S", 0.001)
    with edgeirf.load(tiny_path, "tensorrt", keep_warm=True) as detector:
        score = detector(good(500)).score
        ran = driver_control.count("kernels")
        deadline = time.monotonic() + 20
        while driver_control.count("kernels") == ran and time.monotonic() < deadline:
            time.sleep(0.01)
        assert driver_control.count("kernels") > ran
        assert detector(good(500)).score == score


def test_a_waiting_thread_spins_where_it_is_asked_to(tiny_path: Path, good: Make) -> None:
    """The other flags of the primary context are the host program's."""
    library, map_host = ctypes.CDLL("libcuda.so.1"), 8
    library.cuInit(0)
    library.cuDevicePrimaryCtxSetFlags_v2(0, map_host)
    try:
        for spin in (False, True):
            with edgeirf.load(tiny_path, "tensorrt", spin=spin) as detector:
                assert not detector(good(500)).reject
                assert driver_control.primary_flags() == map_host | spin
        set_waiting(spin=False)
        assert driver_control.primary_flags() == map_host
    finally:
        library.cuDevicePrimaryCtxSetFlags_v2(0, 0)


def test_a_lost_gpu_is_one_error_and_a_rejecting_verdict(tiny_path: Path, good: Make) -> None:
    with edgeirf.load(tiny_path, "tensorrt") as detector:
        assert not detector(good(500)).reject
        driver_control.fail("cuEventSynchronize", 1, driver_control.UNKNOWN)
        with pytest.raises(BackendError) as raised:
            detector(good(501))
        assert detector.failed(str(raised.value)).reject
    assert driver_control.live() == {}


def test_what_cannot_be_prepared_leaves_nothing_behind(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: GpuExecutor, *_: object) -> None:
        raise FrameError("too large")

    monkeypatch.setattr(GpuExecutor, "warm_up", refuse)
    with pytest.raises(FrameError, match="too large"):
        edgeirf.load(tiny_path, "tensorrt", keep_warm=True)
    assert driver_control.live() == {}
    assert not [thread for thread in threading.enumerate() if thread.name == "edgeirf-keep-warm"]


def test_every_way_to_close_gives_the_context_back(tiny_path: Path, good: Make, engines: list[OrtEngine]) -> None:
    """Also where the driver refuses once to make the context current."""
    for nth in range(1, 9):
        detector = edgeirf.load(tiny_path, "tensorrt")
        detector(good(500))
        driver_control.reset()
        driver_control.fail("cuCtxPushCurrent", nth, 400)
        with contextlib.suppress(BackendError):
            detector.close()
        driver_control.reset()
        assert "contexts" not in driver_control.live(), nth
        driver_control.sweep()
    engines.clear()
