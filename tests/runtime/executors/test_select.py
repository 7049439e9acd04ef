"""Which device and graph are chosen, and why."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeirf
from edgeirf import bundle as bundles
from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, BundleError, UsageError
from edgeirf.runtime.executors.machine import Support
from edgeirf.runtime.executors.select import ALL, Candidate, Request, explain, open_executor


class MadeUp:
    """A machine on which some devices work."""

    def __init__(self, *works: str) -> None:
        self.works = works

    def support(self, device: str) -> Support:
        return Support(device in self.works, f"{device} {'works' if device in self.works else 'is missing'}")


@pytest.fixture
def mixed(tmp_path: Path, tiny_bundle: Callable[..., Path]) -> Bundle:
    """A bundle with FP32, an FP16 graph that its gate refused, and an INT8 graph for each family."""
    plain = Bundle.read(tiny_bundle(tmp_path / "plain.irf", held_out=19))
    graph, fp32 = plain.member("model.fp32.onnx"), plain.manifest.models["fp32"]
    models = {
        "fp32": fp32,
        "fp16": replace(fp32, precision="fp16", file="model.fp16.onnx", refused="3 decisions differ"),
        "int8": replace(fp32, precision="int8", file="model.int8.onnx", family="onnxruntime"),
        "int8-tensorrt": replace(fp32, precision="int8", file="model.rt.onnx", family="tensorrt"),
    }
    members = {model.file: graph for model in models.values()} | {bundles.GOLDEN: plain.member(bundles.GOLDEN)}
    bundles.write(tmp_path / "mixed.irf", replace(plain.manifest, models=models), members)
    return Bundle.read(tmp_path / "mixed.irf")


def rows(found: tuple[Candidate, ...]) -> list[tuple[str, str, bool, bool, str]]:
    return [(one.device, one.graph, one.runs, one.taken, one.reason) for one in found]


def test_the_fastest_device_and_graph_come_first(mixed: Bundle) -> None:
    assert rows(explain(mixed, machine=MadeUp("tensorrt", "cpu"))) == [
        ("tensorrt", "int8-tensorrt", True, True, "tensorrt works"),
        ("tensorrt", "fp32", True, False, "after tensorrt int8-tensorrt"),
        ("tensorrt", "fp16", True, False, "3 decisions differ"),
        ("cpu", "int8", True, False, "after tensorrt int8-tensorrt"),
        ("cpu", "fp32", True, False, "after tensorrt int8-tensorrt"),
        ("cpu", "fp16", True, False, "3 decisions differ"),
    ]


def test_a_device_that_does_not_work_says_why(mixed: Bundle) -> None:
    assert rows(explain(mixed, precision="fp32", machine=MadeUp("cpu"))) == [
        ("tensorrt", "fp32", False, False, "tensorrt is missing"),
        ("cpu", "fp32", True, True, "cpu works"),
    ]


def test_a_graph_that_was_asked_for_is_taken_though_its_gate_refused_it(mixed: Bundle) -> None:
    assert rows(explain(mixed, "cpu", "fp16", MadeUp("cpu"))) == [("cpu", "fp16", True, True, "cpu works")]


def test_without_a_bundle_the_devices_are_explained() -> None:
    assert rows(explain(machine=MadeUp("cpu"))) == [
        ("tensorrt", "", False, False, "tensorrt is missing"),
        ("cpu", "", True, True, "cpu works"),
    ]
    assert [one.device for one in explain(device=ALL, machine=MadeUp())] == ["cpu", "openvino", "cuda", "tensorrt"]
    assert not any(one.taken for one in explain(machine=MadeUp()))


@pytest.mark.parametrize("precision", [None, "fp32", "fp16", "int8"])
def test_what_is_explained_is_what_is_opened(mixed: Bundle, precision: str | None) -> None:
    (taken,) = [one for one in explain(mixed, "cpu", precision) if one.taken]
    selection = open_executor(mixed, Request("part", 0.01, "cpu", precision, threads=1))
    assert (selection.device, selection.key) == (taken.device, taken.graph)
    selection.executor.close()
    selection.executor.close()


def test_all_is_no_device_to_open(mixed: Bundle) -> None:
    for device in (ALL, "gpu"):
        message = f"unknown device '{device}': choose one of auto, cpu, openvino, cuda, tensorrt"
        with pytest.raises(UsageError, match=message):
            open_executor(mixed, Request("part", 0.01, device))


def with_int8(source: Path, path: Path, tolerance: float) -> Path:
    """The bundle with its graph once more as int8, which may be off by ``tolerance``."""
    whole = Bundle.read(source)
    fp32 = whole.manifest.models["fp32"]
    int8 = replace(fp32, precision="int8", report={"golden_tolerance": tolerance})
    members = {name: whole.member(name) for name in whole.manifest.members}
    bundles.write(path, replace(whole.manifest, models={"fp32": fp32, "int8": int8}), members)
    return path


def test_golden_scores_are_checked_on_the_cpu_too(tiny_path: Path, tmp_path: Path) -> None:
    with edgeirf.load(with_int8(tiny_path, tmp_path / "x.irf", 0.5), "cpu", threads=1) as detector:
        assert detector.model_key == "int8"
    moved = move_golden(Bundle.read(tiny_path), tmp_path / "moved.irf", 1.02)
    with pytest.raises(BackendError, match=r"fp32 on the CPU: scores of the golden images are off by 0\.02"):
        edgeirf.load(moved, "cpu", threads=1)


def test_a_precision_that_is_off_is_replaced_and_said(
    tiny_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = Bundle.read(tiny_path)
    moved = Bundle.read(move_golden(whole, tmp_path / "moved.irf", 1.004))
    with_int8(moved.path, tmp_path / "x.irf", 1e-4)
    with caplog.at_level(logging.WARNING), edgeirf.load(tmp_path / "x.irf", "cpu", threads=1) as detector:
        assert detector.model_key == "fp32"
    assert "int8 on the CPU: scores of the golden images are off by 0.004" in caplog.text
    assert "falling back to fp32" in caplog.text
    with pytest.raises(BackendError, match="int8 on the CPU"):
        edgeirf.load(tmp_path / "x.irf", "cpu", precision="int8", threads=1)


def test_a_bundle_without_golden_images_is_refused(tiny_path: Path, tmp_path: Path) -> None:
    whole = Bundle.read(tiny_path)
    bundles.write(tmp_path / "x.irf", whole.manifest, {"model.fp32.onnx": whole.member("model.fp32.onnx")})
    with pytest.raises(BundleError, match=r"has no golden\.npz"):
        edgeirf.load(tmp_path / "x.irf", "cpu", threads=1)


def move_golden(whole: Bundle, path: Path, gain: float) -> Path:
    """The bundle with its golden scores multiplied."""
    buffer = io.BytesIO()
    np.savez(buffer, images=whole.golden["images"], scores=np.asarray(whole.golden["scores"], float) * gain)
    members = {name: whole.member(name) for name in whole.manifest.members}
    bundles.write(path, whole.manifest, {**members, bundles.GOLDEN: buffer.getvalue()})
    return path


@pytest.mark.parametrize("threads", [0, -1, 257, 10**9, 1.5, "2"])
def test_a_number_of_threads_that_is_none_is_refused(threads: int) -> None:
    with pytest.raises(UsageError, match="threads is a whole number from 1 to 256, not"):
        Request("part", 0.01, threads=threads)
