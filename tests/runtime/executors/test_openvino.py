"""OpenVINO is held to ONNX Runtime: the same graph, the same frames."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError
from edgeirf.runtime.executors import golden
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeBackend
from edgeirf.runtime.executors.openvino import OpenVinoBackend

pytest.importorskip("openvino", reason="OpenVINO is an extra: pip install 'edgeirf[openvino]'")

TOLERANCE = 1e-4
"""Of the largest value of the field, FP32: sums in another order. Real bundles: 4e-7."""


def batch(count: int, size: tuple[int, int] = (64, 64), seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 3, *size)).astype(np.float32)


@pytest.mark.parametrize("threads", [None, 1, 2])
@pytest.mark.parametrize("count", [1, 3])
def test_the_field_is_that_of_onnx_runtime(tiny_onnx: bytes, threads: int | None, count: int) -> None:
    expected = OnnxRuntimeBackend(tiny_onnx, threads).run(batch(count))
    found = OpenVinoBackend(tiny_onnx, threads, batch=count).run(batch(count))
    assert (found.dtype, found.shape) == (np.float32, expected.shape)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * float(np.abs(expected).max()))


def test_golden_images_get_their_scores(tiny_path: Path) -> None:
    bundle = Bundle.read(tiny_path)
    model = bundle.manifest.models["fp32"]
    assert golden.check(bundle, model, OpenVinoBackend(bundle.member(model.file), threads=1)) < TOLERANCE


def test_another_number_of_tiles_compiles_the_graph_again(tiny_onnx: bytes) -> None:
    network = OpenVinoBackend(tiny_onnx, threads=1)
    fields = [network.run(batch(count)) for count in (1, 2, 1)]
    assert [len(field) for field in fields] == [1, 2, 1]
    np.testing.assert_array_equal(fields[0], fields[2])


def test_a_field_outlives_the_next_run(tiny_onnx: bytes) -> None:
    network = OpenVinoBackend(tiny_onnx, threads=1)
    first = network.run(batch(1))
    kept = first.copy()
    network.run(batch(1, seed=1))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("graph", [b"", b"junk", "truncated"])
def test_a_graph_that_cannot_be_read_is_one_line(tiny_onnx: bytes, graph: bytes | str) -> None:
    with pytest.raises(BackendError, match=r"^OpenVINO refuses the graph: .+$") as caught:
        OpenVinoBackend(tiny_onnx[:200] if graph == "truncated" else bytes(graph))  # type: ignore[arg-type]
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 5, 64, 64), np.float32), np.zeros((3, 64, 64), np.float32), np.zeros((0, 3, 64, 64))]
)
def test_an_input_that_does_not_fit_is_one_line(tiny_onnx: bytes, wrong: NDArray[np.float32]) -> None:
    with pytest.raises(BackendError, match=r"^OpenVINO .+$") as caught:
        OpenVinoBackend(tiny_onnx, threads=1).run(wrong)
    assert len(str(caught.value).splitlines()) == 1


def test_without_openvino_the_error_names_the_extra(tiny_onnx: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match=r"pip install 'edgeirf\[openvino\]'"):
        OpenVinoBackend(tiny_onnx)
