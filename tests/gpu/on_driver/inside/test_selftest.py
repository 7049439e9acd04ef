"""``edgeirf selftest``, which a user with a GPU runs: each check can pass, and can fail."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import driver_control
import numpy as np
import pytest
from ort_engine import OrtEngine

from edgeirf.bundle import Bundle
from edgeirf.runtime.bench import Workload
from edgeirf.runtime.executors import tensorrt as tensorrt_module
from edgeirf.runtime.executors.cuda_device import CudaDevice
from edgeirf.runtime.executors.gpu.executor import GpuExecutor
from edgeirf.runtime.executors.gpu.frame_layout import Geometry
from edgeirf.runtime.executors.tensorrt import LoadedGraph, TensorRTNetwork
from edgeirf.runtime.selftest import executor_checks, outcome, record_checks
from edgeirf.settings import Preprocess


class Drifting(OrtEngine):
    """An engine whose field is off by a share."""

    share = 0.01

    def _infer(self, batch: np.ndarray) -> np.ndarray:
        return super()._infer(batch) * (1 + self.share)


@pytest.fixture(scope="module")
def small_path(tiny_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that costs the CPU little."""
    settings = Preprocess(size=(32, 32))
    return tiny_bundle(tmp_path_factory.mktemp("small") / "small.irf", settings=settings, held_out=19)


@pytest.fixture
def subject(small_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[executor_checks.Subject]:
    bundle = Bundle.read(small_path)
    model = bundle.manifest.models["fp32"]
    engines: list[OrtEngine] = []

    def load_graph(precision: str, kind: type[OrtEngine] = OrtEngine) -> LoadedGraph:
        engines.append(kind(bundle.member(model.file), (1, 3, *bundle.manifest.preprocess.size)))
        return LoadedGraph("fp32", model, TensorRTNetwork(engines[-1], CudaDevice()))

    monkeypatch.setattr(tensorrt_module, "load_graph", lambda *_: load_graph("fp32"))
    subject = executor_checks.Subject.of(bundle, (100, 120))
    yield dataclasses.replace(subject, load_graph=load_graph, frames=[subject.frames[0], subject.frames[-1]])
    assert [engine.closed for engine in engines] == [1] * len(engines)


Check = Callable[[executor_checks.Subject], outcome.Figures]
CHECKS: dict[str, Check] = {
    "parity": lambda subject: executor_checks.parity(subject, "fp32"),
    "raw": executor_checks.raw_formats,
    "engine": lambda subject: record_checks.engine(subject, "fp32"),
    "frame memory": lambda subject: record_checks.frame_memory(subject, 3),
    "waiting": lambda subject: record_checks.waiting(subject, 3),
    "first map": record_checks.first_map,
    "graphs": executor_checks.graphs,
    "pauses": lambda subject: executor_checks.keep_warm(subject, gaps=2, gap_s=0.05),
    "latency": lambda subject: executor_checks.latency(
        subject, "fp32", Workload(subject.frames, steady=3, triggered=1, interval_s=0.01)
    ),
    "leaks": lambda subject: executor_checks.leaks(subject, 12),
}


@pytest.mark.parametrize("name", CHECKS)
def test_checks_pass(name: str, subject: executor_checks.Subject) -> None:
    done = outcome.run(name, lambda: CHECKS[name](subject))
    assert done.status == "passed", done
    json.dumps(done.to_json(), allow_nan=False)
    assert name in done.line()


def test_parity_fails_where_scores_drift(subject: executor_checks.Subject) -> None:
    drifting = dataclasses.replace(subject, load_graph=lambda precision: subject.load_graph(precision, Drifting))  # type: ignore[call-arg]
    done = outcome.run("parity", lambda: executor_checks.parity(drifting, "fp32"))
    assert done.status == "failed"
    assert "scores differ by 0.02" in done.detail
    assert done.figures["largest_difference"] == pytest.approx(0.0201, rel=0.01)


def test_frames_that_run_without_a_graph_fail_the_check(subject: executor_checks.Subject) -> None:
    driver_control.fail("cuStreamBeginCapture", 1, 801, times=1000)
    done = outcome.run("graphs", lambda: executor_checks.graphs(subject))
    assert (done.status, done.detail) == ("failed", "7 of 7 frames did not run as a CUDA graph")
    assert done.figures["nodes"] == 0


def test_a_map_without_the_peak_of_its_verdict_is_found(
    subject: executor_checks.Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GpuExecutor, "fetch_map", lambda self, wanted: np.zeros((32, 32), np.float32))
    done = outcome.run("first map", lambda: record_checks.first_map(subject))
    assert (done.status, done.detail) == ("failed", "the map of a frame does not hold its verdict's peak")


def test_lent_memory_that_is_read_wrongly_is_found(
    subject: executor_checks.Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Geometry.offset
    monkeypatch.setattr(Geometry, "offset", lambda self, frame: None if real(self, frame) is None else 4 * self.pitch)
    monkeypatch.setattr(Geometry, "nbytes", property(lambda self: self.pitch * (self.rows - 4)))
    done = outcome.run("frame memory", lambda: record_checks.frame_memory(subject, 1))
    assert done.status == "failed"


def test_a_leak_is_found(subject: executor_checks.Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    real, hoard = GpuExecutor.submit, []

    def leaking(self: GpuExecutor, frame: np.ndarray, pixel_format: None = None) -> object:
        with self._gpu.context.current():
            hoard.append(self._gpu.context.driver.mem_alloc(8 << 20))
        return real(self, frame)

    monkeypatch.setattr(GpuExecutor, "submit", leaking)
    done = outcome.run("leaks", lambda: executor_checks.leaks(subject, 12))
    assert (done.status, done.detail) == ("failed", "memory grows")
    hoard.clear()
    driver_control.sweep()


def test_a_precision_that_the_bundle_lacks_is_skipped(subject: executor_checks.Subject) -> None:
    done = outcome.run("parity", lambda: executor_checks.parity(subject, "int8"))
    assert done.status == "skipped"
    assert "edgeirf export --precision int8" in done.detail


def test_whatever_breaks_does_not_end_the_other_checks() -> None:
    def broken() -> outcome.Figures:
        return {"figure": [][0]}

    done = outcome.run("broken", broken)
    assert done.status == "failed"
    assert done.detail.startswith("IndexError")
