"""The CPU executor: each result taken once, stages that add up, frames that go through the network together."""

from __future__ import annotations

import numpy as np
import pytest

from edgeirf.conformal import Limits
from edgeirf.errors import FrameError, UsageError
from edgeirf.runtime.executors.base import inspect
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.settings import Preprocess, Scoring
from edgeirf.verdict import STAGES


@pytest.fixture
def executor(tiny_onnx: bytes) -> CpuExecutor:
    settings = Preprocess(size=(64, 64), roi=(2, 2, 70, 70))
    return CpuExecutor(OnnxRuntimeNetwork(tiny_onnx, threads=1), settings, Scoring(sigma=2.0), Limits(9.0, 9.0))


def test_a_result_is_taken_once_and_makes_room(executor: CpuExecutor, good, bad) -> None:
    pending = executor.submit(bad(0, (80, 80)))
    with pytest.raises(UsageError, match="take a result"):
        executor.submit(good(1, (80, 80)))
    first = pending.result()
    with pytest.raises(UsageError, match="taken before"):
        pending.result()
    assert first.score > inspect(executor, good(1, (80, 80))).score
    assert first.map.array().shape == (64, 64)
    assert first.map.heat() is None


def test_a_frame_that_is_refused_leaves_room(executor: CpuExecutor, good) -> None:
    with pytest.raises(FrameError, match="does not cover"):
        executor.submit(good(0, (60, 60)))
    with pytest.raises(FrameError, match="does not cover"):
        executor.warm_up((60, 60), "bgr8")
    assert inspect(executor, good(0, (80, 80))).score > 0


def test_stages(executor: CpuExecutor, good) -> None:
    latency = inspect(executor, good(0, (80, 80))).latency_ms
    parts = sum(latency[stage] for stage in ("preprocess", "network", "postprocess"))
    assert latency["inference"] == pytest.approx(parts)
    assert {*latency} <= {*STAGES}
    assert list(executor.stages(good(0, (80, 80)))) == ["preprocess", "network", "postprocess"]
    assert executor.memory() is None


def test_without_limits_nothing_is_rejected(tiny_onnx: bytes, bad) -> None:
    executor = CpuExecutor(OnnxRuntimeNetwork(tiny_onnx, threads=1), Preprocess(size=(64, 64)), Scoring(sigma=2.0))
    found = inspect(executor, bad(0))
    assert (found.reject, found.p_value, found.regions) == (False, 1.0, ())


def test_only_what_is_above_its_own_threshold_is_rejected_or_marked(executor: CpuExecutor, bad) -> None:
    found = inspect(executor, bad(0, (80, 80)))
    for score_above, peak_above in ((False, False), (True, False), (False, True)):
        score, peak = (
            (np.nextafter(v, -np.inf) if above else v)
            for v, above in zip((found.score, np.float32(found.peak)), (score_above, peak_above), strict=True)
        )
        executor.limits = Limits(float(score), float(peak))
        again = inspect(executor, bad(0, (80, 80)))
        assert (again.reject, bool(again.regions)) == (score_above, peak_above)


def test_pixels_of_the_network_s_size_score_as_their_frame(executor: CpuExecutor, bad) -> None:
    plain = CpuExecutor(executor.network, Preprocess(size=(64, 64)), executor.rules)
    frame = bad(0)
    pixels = np.ascontiguousarray(frame[None, ..., ::-1])
    assert plain.score_pixels(pixels).score == inspect(plain, frame).score


@pytest.mark.parametrize("tiles", [(1, 1), (1, 2)])
def test_frames_that_are_pending_together_go_through_the_network_together(
    tiny_onnx: bytes, good, bad, tiles: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, rules = OnnxRuntimeNetwork(tiny_onnx, threads=1), Scoring(sigma=2.0)
    settings = Preprocess(size=(64, 64), tiles=tiles)
    alone = CpuExecutor(network, settings, rules, Limits(9.0, 9.0))
    executor = CpuExecutor(network, settings, rules, Limits(9.0, 9.0), depth=3)
    frames = [good(0), bad(1), good(2), bad(3)]
    expected = [inspect(alone, frame) for frame in frames]
    runs, real = [], network.run
    monkeypatch.setattr(network, "run", lambda batch: (runs.append(len(batch)), real(batch))[1])
    pending = [executor.submit(frame) for frame in frames[:3]]
    with pytest.raises(UsageError, match="take a result"):
        executor.submit(frames[3])
    found = [pending[0].result()]
    pending.append(executor.submit(frames[3]))  # joins two that are ready
    found += [one.result() for one in pending[1:]]
    assert runs == [3 * tiles[0] * tiles[1], tiles[0] * tiles[1]]
    for one, other in zip(found, expected, strict=True):
        assert one.score == pytest.approx(other.score, rel=1e-5)
        assert (one.reject, one.p_value, len(one.regions)) == (other.reject, other.p_value, len(other.regions))
        np.testing.assert_allclose(one.map.array(), other.map.array(), rtol=1e-4, atol=1e-5)
        assert one.latency_ms["inference"] == pytest.approx(
            sum(one.latency_ms[stage] for stage in ("preprocess", "network", "postprocess"))
        )


def test_a_network_that_fails_leaves_room(tiny_onnx: bytes, good, monkeypatch: pytest.MonkeyPatch) -> None:
    network = OnnxRuntimeNetwork(tiny_onnx, threads=1)
    executor = CpuExecutor(network, Preprocess(size=(64, 64)), Scoring(sigma=2.0), depth=2)
    monkeypatch.setattr(network, "run", lambda batch: (_ for _ in ()).throw(MemoryError))
    first = executor.submit(good(0))
    with pytest.raises(MemoryError):
        executor.submit(good(1))
    monkeypatch.undo()
    second = executor.submit(good(1))
    assert first.result().score == pytest.approx(
        inspect(CpuExecutor(network, executor.settings, executor.rules), good(0)).score
    )
    assert second.result().score > 0
