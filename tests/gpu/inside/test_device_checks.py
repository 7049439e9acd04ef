"""``tests/device``, which a user with a GPU runs: each check can pass, and can fail."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import driver_control
import numpy as np
import pytest
from ort_engine import OrtEngine

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "device"))

import chain_checks
import outcome

from edgeirf.bundle import Bundle
from edgeirf.runtime.bench import Workload
from edgeirf.runtime.executors import tensorrt as backend_module
from edgeirf.runtime.executors.gpu.executor import CudaChain
from edgeirf.runtime.executors.select import Opened
from edgeirf.runtime.executors.tensorrt import TensorRTBackend
from edgeirf.runtime.tensorrt.device import CudaDevice
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
def subject(small_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[chain_checks.Subject]:
    bundle = Bundle.read(small_path)
    model = bundle.manifest.models["fp32"]
    engines: list[OrtEngine] = []

    def open_model(precision: str, kind: type[OrtEngine] = OrtEngine) -> Opened:
        engines.append(kind(bundle.member(model.file), (1, 3, *bundle.manifest.preprocess.size)))
        return Opened("fp32", model, TensorRTBackend(engines[-1], CudaDevice()))

    monkeypatch.setattr(backend_module, "open_tensorrt", lambda bundle, precision, progress=None: open_model("fp32"))
    made = chain_checks.Subject.of(bundle, (100, 120))
    yield dataclasses.replace(made, open_model=open_model, frames=[made.frames[0], made.frames[-1]])
    assert [engine.closed for engine in engines] == [1] * len(engines)


Check = Callable[[chain_checks.Subject], outcome.Figures]
CHECKS: dict[str, Check] = {
    "parity": lambda subject: chain_checks.parity(subject, "fp32"),
    "raw": chain_checks.raw_formats,
    "graphs": chain_checks.graphs,
    "pauses": lambda subject: chain_checks.keep_warm(subject, gaps=2, gap_s=0.05),
    "latency": lambda subject: chain_checks.latency(
        subject, "fp32", Workload(subject.frames, steady=3, triggered=1, interval_s=0.01)
    ),
    "leaks": lambda subject: chain_checks.leaks(subject, 12),
}


@pytest.mark.parametrize("name", CHECKS)
def test_checks_pass(name: str, subject: chain_checks.Subject) -> None:
    done = outcome.run(name, lambda: CHECKS[name](subject))
    assert done.status == "passed", done
    json.dumps(done.to_json(), allow_nan=False)
    assert name in done.line()


def test_parity_fails_where_scores_drift(subject: chain_checks.Subject) -> None:
    drifting = dataclasses.replace(subject, open_model=lambda precision: subject.open_model(precision, Drifting))  # type: ignore[call-arg]
    done = outcome.run("parity", lambda: chain_checks.parity(drifting, "fp32"))
    assert done.status == "failed"
    assert "scores differ by 0.02" in done.detail
    assert done.figures["largest_difference"] == pytest.approx(0.0201, rel=0.01)


def test_a_leak_is_found(subject: chain_checks.Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    real, hoard = CudaChain.inspect, []

    def leaking(self: CudaChain, frame: np.ndarray) -> object:
        with self._gpu.context.current():
            hoard.append(self._gpu.context.driver.mem_alloc(8 << 20))
        return real(self, frame)

    monkeypatch.setattr(CudaChain, "inspect", leaking)
    done = outcome.run("leaks", lambda: chain_checks.leaks(subject, 12))
    assert (done.status, done.detail) == ("failed", "memory grows")
    hoard.clear()
    driver_control.sweep()


def test_a_precision_that_the_bundle_lacks_is_skipped(subject: chain_checks.Subject) -> None:
    done = outcome.run("parity", lambda: chain_checks.parity(subject, "int8"))
    assert done.status == "skipped"
    assert "edgeirf export --precision int8" in done.detail


def test_whatever_breaks_does_not_end_the_other_checks() -> None:
    def broken() -> outcome.Figures:
        return {"figure": [][0]}

    done = outcome.run("broken", broken)
    assert done.status == "failed"
    assert done.detail.startswith("IndexError")
