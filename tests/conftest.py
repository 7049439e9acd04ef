"""Fixtures that several folders share."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeirf import bundle
from edgeirf.conformal import Calibration
from edgeirf.export.standalone.member import with_line
from edgeirf.frame_contract import FrameContract
from edgeirf.manifest import Manifest, Method, Model
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.settings import Preprocess, Scoring

MakeBundle = Callable[..., Path]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a job in the background; children would ignore Ctrl-C too
    signal.signal(signal.SIGINT, signal.default_int_handler)


def tiny_graph() -> bytes:
    """``(N, 3, H, W)`` to ``(N, 4, H / 8, W / 8)``: 8x8 average pooling and a whitened 1x1 convolution."""
    weight = np.random.default_rng(0).normal(size=(4, 3, 1, 1)).astype(np.float32) * 20
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Conv", ["pooled", "weight"], ["field"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("field", TensorProto.FLOAT, ["n", 4, "gh", "gw"])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def good_frame(seed: int, size: tuple[int, int] = (64, 64)) -> NDArray[np.uint8]:
    """A frame the tiny bundle accepts: mid-gray with a little noise, ``(H, W, 3)`` BGR."""
    noise = np.random.default_rng(seed).normal(128, 6, (*size, 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


def bad_frame(seed: int, size: tuple[int, int] = (64, 64)) -> NDArray[np.uint8]:
    """A frame the tiny bundle rejects: a white square, a quarter of each side, its corner at a quarter."""
    frame = good_frame(seed, size)
    frame[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 255
    return frame


def make_tiny_bundle(
    path: Path,
    *,
    name: str = "tiny",
    settings: Preprocess | None = None,
    products: tuple[str, ...] = ("part",),
    held_out: int = 99,
    false_reject_rate: float = 0.01,
    frame: FrameContract | None = None,
    line: bool = False,
) -> Path:
    """Writes a small valid bundle whose graph tells :func:`good_frame` from :func:`bad_frame`.

    Args:
        path: where to; returned.
        name: the model's name.
        settings: pre-processing, by default 64x64 without tiles.
        products: names of the products; all have the same calibration.
        held_out: number of calibration parts.
        false_reject_rate: the bundle's default rate.
        frame: the frames that the bundle knows.
        line: with ``line.onnx``, the graph for hosts without Python.
    """
    settings = settings or Preprocess(size=(64, 64))
    scoring, graph = Scoring(sigma=2.0), tiny_graph()
    shape = (settings.tiles[0] * settings.tiles[1], *settings.size, 3)
    executor = CpuExecutor(OnnxRuntimeNetwork(graph, threads=1), settings, scoring)
    rng = np.random.default_rng(1)
    images = np.clip(rng.normal(128, 6, (held_out, *shape)), 0, 255).astype(np.uint8)
    scored = [executor.score_pixels(image) for image in images]
    scores, peaks = (tuple(sorted(values)) for values in zip(*((s.score, s.peak) for s in scored), strict=True))
    model = Model("model.fp32.onnx", "fp32", "any", {p: Calibration(scores, peaks) for p in products}, scoring)
    golden = io.BytesIO()
    np.savez(golden, images=images[:2], scores=np.array([s.score for s in scored[:2]]))
    method = Method("irf", (100,), "full", "average-pool", "nano")
    manifest = Manifest(
        name, "2026-01-01T00:00:00Z", "0.1.0", settings, method, false_reject_rate, {"fp32": model}, frame=frame
    )
    members = {"model.fp32.onnx": graph, bundle.GOLDEN: golden.getvalue()}
    bundle.write(path, manifest, with_line(path, manifest, members) if line else members)
    return path


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing that this user has kept changes a test, and no test changes it."""
    with pytest.MonkeyPatch.context() as patch:
        if "EDGEIRF_STANDIN" not in os.environ:  # there the cache is one of all test files
            patch.setenv("EDGEIRF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_onnx() -> bytes:
    """The graph of the tiny bundle; see :func:`tiny_graph`."""
    return tiny_graph()


@pytest.fixture(scope="session")
def tiny_bundle() -> MakeBundle:
    """``tiny_bundle(path, **options)``; see :func:`make_tiny_bundle`."""
    return make_tiny_bundle


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle that tests only read."""
    return make_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny.irf")


@pytest.fixture(scope="session")
def good() -> Callable[..., NDArray[np.uint8]]:
    """``good(seed, size)``; see :func:`good_frame`."""
    return good_frame


@pytest.fixture(scope="session")
def bad() -> Callable[..., NDArray[np.uint8]]:
    """``bad(seed, size)``; see :func:`bad_frame`."""
    return bad_frame


@pytest.fixture
def labelled(tmp_path: Path) -> Callable[..., Path]:
    """``labelled(layout)``: a folder with 6 good parts and 4 + 2 defects of the kind that the tiny bundle rejects.

    ``layout`` is ``mvtec`` (``test/``, ``ground_truth/``), ``flat`` (no ``test/``, no masks); ``size`` that of the
    frames, ``times`` multiplies the counts.
    """

    def make(layout: str = "mvtec", *, size: tuple[int, int] = (64, 64), times: int = 1) -> Path:
        root = tmp_path / "data"
        test = root / "test" if layout == "mvtec" else root
        mask = np.zeros(size, np.uint8)
        mask[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 255
        for kind, count, frame in (("good", 6, good_frame), ("stain", 4, bad_frame), ("hole", 2, bad_frame)):
            (test / kind).mkdir(parents=True)
            for i in range(count * times):
                cv2.imwrite(str(test / kind / f"{i}.png"), frame(100 + i, size))
                if kind != "good" and layout == "mvtec":
                    (root / "ground_truth" / kind).mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(root / "ground_truth" / kind / f"{i}_mask.png"), mask)
        return root

    return make
