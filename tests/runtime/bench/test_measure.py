"""A real bundle, measured on the CPU."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, UsageError
from edgeirf.runtime.bench import Target, Workload, find_targets, measure, plot, report
from edgeirf.runtime.bench.frames import camera_frames, golden_frames
from edgeirf.runtime.detector import load
from edgeirf.runtime.executors.machine import ThisMachine
from edgeirf.settings import Preprocess

STAGES = {"upload", "preprocess", "network", "postprocess", "inference", "total"}
PERCENTILES = ["p50_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms"]


@pytest.fixture
def work(tiny_path: Path) -> Workload:
    frames = golden_frames(Bundle.read(tiny_path), (90, 120))
    return Workload(frames, steady=6, triggered=3, interval_s=0.001, deadline_ms=1e-6, threads=1)


def test_what_is_measured(tiny_path: Path, work: Workload) -> None:
    bundle = Bundle.read(tiny_path)
    done = measure(bundle, Target("cpu", "fp32", "fp32"), work)
    assert done.error is None
    assert set(done.steady) == set(done.triggered) == STAGES
    assert done.counts == done.late == {"steady": 6, "triggered": 3}
    for stage in done.steady.values():
        assert list(stage) == PERCENTILES
        assert sorted(stage.values()) == list(stage.values())
    assert done.throughput > 0
    told = report.to_json(bundle, work, [done])
    assert told["backends"]["onnxruntime-cpu"]["fp32"]["total"]["p50_ms"] > 0
    assert told["frame"] == {"width": 120, "height": 90, "pixel_format": "bgr8"}
    json.dumps(told, allow_nan=False)
    text = "\n".join(report.lines(work, [done]))
    assert "onnxruntime-cpu fp32" in text
    assert "slowest" in text
    root = ElementTree.fromstring(plot.svg("a <title>", [done], 100.0))
    assert len(root.findall(".//{*}circle")) == 2 * len(PERCENTILES)


def test_a_target_that_fails_says_why(tiny_path: Path, work: Workload) -> None:
    done = measure(Bundle.read(tiny_path), Target("tensorrt", "fp32", "fp32"), work)
    assert done.error
    assert done.steady == {}
    assert "did not run" in "\n".join(report.lines(work, [done]))


def test_no_triggered_frames(tiny_path: Path, work: Workload) -> None:
    quick = Workload(work.frames, steady=2, triggered=0, threads=1)
    done = measure(Bundle.read(tiny_path), Target("cpu", "fp32", "fp32"), quick)
    assert done.triggered == {}
    ElementTree.fromstring(plot.svg("title", [done], 100.0))


class TestTargets:
    """Which back ends and graphs."""

    def test_the_cpu_is_always_there(self, tiny_path: Path) -> None:
        found = find_targets(Bundle.read(tiny_path))
        assert Target("cpu", "fp32", "fp32") in found
        assert all(ThisMachine().support(target.device).works for target in found)

    def test_wrong_wishes(self, tiny_path: Path) -> None:
        bundle = Bundle.read(tiny_path)
        with pytest.raises(UsageError, match="unknown device"):
            find_targets(bundle, device="tpu")
        with pytest.raises(UsageError, match="no int8 graph"):
            find_targets(bundle, precision="int8")
        if not ThisMachine().support("tensorrt").works:
            with pytest.raises(BackendError):
                find_targets(bundle, device="tensorrt")


class TestFrames:
    """Good parts at the camera's size."""

    def test_they_are_good_parts(self, tiny_path: Path) -> None:
        bundle = Bundle.read(tiny_path)
        with load(tiny_path, "cpu", threads=1) as detector:
            for frame, score in zip(golden_frames(bundle), bundle.golden["scores"], strict=True):
                assert detector(frame).score == pytest.approx(float(score), rel=1e-3)

    @pytest.mark.parametrize("size", [None, (200, 300)])
    def test_they_cover_the_region_of_interest(self, size: tuple[int, int] | None, tiny_bundle, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        settings = Preprocess(size=(32, 64), roi=(10, 20, 80, 70), tiles=(2, 1))
        bundle = Bundle.read(tiny_bundle(tmp_path / "roi.irf", settings=settings, held_out=5))
        frames = golden_frames(bundle, size)
        assert {frame.shape for frame in frames} == {(*(size or (90, 90)), 3)}
        assert np.unique(frames[0][:20]).tolist() == [128]

    def test_impossible_sizes(self, tiny_path: Path) -> None:
        with pytest.raises(UsageError, match="65535"):
            golden_frames(Bundle.read(tiny_path), (0, 100))

    def test_of_a_camera(self) -> None:
        frames, waits = camera_frames("test://?seed=1&count=3", 3, keep=2)
        assert len(frames) == 2
        assert len(waits) == 3
        assert min(waits) > 0
