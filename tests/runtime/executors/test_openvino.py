"""OpenVINO is held to ONNX Runtime: the same graph, the same frames."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeirf
from edgeirf import bundle as bundles
from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError
from edgeirf.runtime.executors import golden, openvino
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.executors.openvino import OpenVinoNetwork
from edgeirf.runtime.executors.select import explain

pytest.importorskip("openvino", reason="OpenVINO is an extra: pip install 'edgeirf[openvino]'")

Frame = Callable[..., NDArray[np.uint8]]
TOLERANCE = 1e-4
"""Of the largest value of the field, FP32: sums in another order. Real bundles: 4e-7."""


def batch(count: int, size: tuple[int, int] = (64, 64), seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 3, *size)).astype(np.float32)


@pytest.mark.parametrize("threads", [None, 1, 2])
@pytest.mark.parametrize("count", [1, 3])
def test_the_field_is_that_of_onnx_runtime(tiny_onnx: bytes, threads: int | None, count: int) -> None:
    expected = OnnxRuntimeNetwork(tiny_onnx, threads).run(batch(count))
    found = OpenVinoNetwork(tiny_onnx, threads, batch=count).run(batch(count))
    assert (found.dtype, found.shape) == (np.float32, expected.shape)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * float(np.abs(expected).max()))


def test_golden_images_get_their_scores(tiny_path: Path) -> None:
    bundle = Bundle.read(tiny_path)
    model = bundle.manifest.models["fp32"]
    assert golden.check(bundle, model, OpenVinoNetwork(bundle.member(model.file), threads=1)) < TOLERANCE


def test_another_number_of_tiles_compiles_the_graph_again(tiny_onnx: bytes) -> None:
    network = OpenVinoNetwork(tiny_onnx, threads=1)
    fields = [network.run(batch(count)) for count in (1, 2, 1)]
    assert [len(field) for field in fields] == [1, 2, 1]
    np.testing.assert_array_equal(fields[0], fields[2])


def test_a_field_outlives_the_next_run(tiny_onnx: bytes) -> None:
    network = OpenVinoNetwork(tiny_onnx, threads=1)
    first = network.run(batch(1))
    kept = first.copy()
    network.run(batch(1, seed=1))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("graph", [b"", b"junk", "truncated"])
def test_a_graph_that_cannot_be_read_is_one_line(tiny_onnx: bytes, graph: bytes | str) -> None:
    with pytest.raises(BackendError, match=r"^OpenVINO refuses the graph: .+$") as caught:
        OpenVinoNetwork(tiny_onnx[:200] if graph == "truncated" else bytes(graph))  # type: ignore[arg-type]
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 5, 64, 64), np.float32), np.zeros((3, 64, 64), np.float32), np.zeros((0, 3, 64, 64))]
)
def test_an_input_that_does_not_fit_is_one_line(tiny_onnx: bytes, wrong: NDArray[np.float32]) -> None:
    with pytest.raises(BackendError, match=r"^OpenVINO .+$") as caught:
        OpenVinoNetwork(tiny_onnx, threads=1).run(wrong)
    assert len(str(caught.value).splitlines()) == 1


def test_without_openvino_the_error_names_the_extra(tiny_onnx: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match=r"pip install 'edgeirf\[openvino\]'"):
        OpenVinoNetwork(tiny_onnx)


def test_a_frame_gets_the_same_verdict_as_from_onnx_runtime(tiny_path: Path, good: Frame, bad: Frame) -> None:
    with edgeirf.load(tiny_path, device="cpu") as cpu, edgeirf.load(tiny_path, device="openvino") as openvino:
        for frame in (good(5), bad(5)):
            expected, found = cpu(frame), openvino(frame)
            assert found.reject == expected.reject
            assert found.score == pytest.approx(expected.score, rel=TOLERANCE)


NAMED_INT8 = b"\x12\x04int8"
"""A producer's name at the start of a graph."""


class Saturating(OpenVinoNetwork):
    """A processor on which OpenVINO's sums of INT8 products saturate."""

    def __init__(self, graph: bytes, threads: int | None = None, batch: int = 1) -> None:
        super().__init__(graph, threads, batch)
        self.limit = 0.05 if graph.startswith(NAMED_INT8) else np.inf

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.clip(super().run(batch), -self.limit, self.limit)


def test_a_graph_that_openvino_computes_wrongly_is_not_used(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(openvino, "OpenVinoNetwork", Saturating)
    tiny = Bundle.read(tiny_path)
    fp32 = tiny.manifest.models["fp32"]
    models = {"fp32": fp32, "int8": replace(fp32, file="model.int8.onnx", precision="int8", family="onnxruntime")}
    graph = tiny.member(fp32.file)
    members = {fp32.file: graph, "model.int8.onnx": NAMED_INT8 + graph, bundles.GOLDEN: tiny.member(bundles.GOLDEN)}
    bundles.write(tmp_path / "both.irf", replace(tiny.manifest, models=models), members)
    with edgeirf.load(tmp_path / "both.irf", device="openvino") as detector:
        assert detector.model_key == "fp32"
    assert "int8 on OpenVINO: scores of the golden images are off" in caplog.text
    assert "falling back to fp32" in caplog.text
    with pytest.raises(BackendError, match=r"^int8 on OpenVINO: .* choose --precision fp32, or --device cpu$"):
        edgeirf.load(tmp_path / "both.irf", device="openvino", precision="int8")


def test_a_machine_says_whether_it_has_openvino(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = explain(Bundle.read(tiny_path), "openvino")
    assert (found.device, found.graph, found.taken) == ("openvino", "fp32", True)
    monkeypatch.setitem(sys.modules, "openvino", None)
    (found,) = explain(Bundle.read(tiny_path), "openvino")
    assert (found.runs, found.taken) == (False, False)
    assert "pip install 'edgeirf[openvino]'" in found.reason
