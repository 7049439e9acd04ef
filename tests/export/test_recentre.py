from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import edgeirf
from edgeirf import bundle as bundles
from edgeirf.bundle import Bundle
from edgeirf.calib.conditions.perturb import Change
from edgeirf.errors import UsageError
from edgeirf.export.recentre import CENTRE, recentre
from edgeirf.export.standalone.member import difference, with_line
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.golden import check
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork

Picture = NDArray[np.uint8]


@pytest.fixture
def dense(tiny_path: Path, tmp_path: Path) -> Path:
    """The tiny bundle with a last node that is named like one of a density."""
    old = Bundle.read(tiny_path)
    model = onnx.load_from_string(old.member("model.fp32.onnx"))
    model.graph.node[-1].output[0] = "white"
    bounds = [numpy_helper.from_array(np.float32(value), name) for name, value in (("low", -1e4), ("high", 1e4))]
    model.graph.initializer.extend(bounds)
    model.graph.node.append(helper.make_node("Clip", ["white", "low", "high"], ["field"], name="/density/Clip"))
    path = tmp_path / "dense.irf"
    members = {name: old.member(name) for name in old.manifest.members}
    members["model.fp32.onnx"] = model.SerializeToString()
    bundles.write(path, old.manifest, with_line(path, old.manifest, members))
    return path


def score(path: Path, frames: list[Picture]) -> float:
    with edgeirf.load(path, device="cpu", threads=1) as detector:
        return float(np.median([detector(frame).score for frame in frames]))


def prepared(frames: list[Picture]) -> list[Picture]:
    return [frame[None, ..., ::-1] for frame in frames]


def test_parts_of_the_changed_line_are_usual_again_and_defects_are_not(
    dense: Path, good: Callable[..., Picture], bad: Callable[..., Picture], tmp_path: Path
) -> None:
    dark = Change(brightness=-0.2)
    fresh = [dark(good(700 + at)) for at in range(20)]
    recentre(Bundle.read(dense), prepared(fresh), tmp_path / "new.irf")
    others = [dark(good(800 + at)) for at in range(10)]
    usual = score(dense, [good(800 + at) for at in range(10)])
    assert score(dense, others) > 3 * usual
    assert score(tmp_path / "new.irf", others) < 1.3 * usual
    assert score(tmp_path / "new.irf", [dark(bad(at)) for at in range(5)]) > 5 * usual


def test_a_second_time_the_centre_moves_on(dense: Path, good: Callable[..., Picture], tmp_path: Path) -> None:
    first, second = tmp_path / "first.irf", tmp_path / "second.irf"
    frames = [good(700 + at) for at in range(20)]
    recentre(Bundle.read(dense), prepared([Change(brightness=-0.2)(frame) for frame in frames]), first)
    recentre(Bundle.read(first), prepared(frames), second)
    graph = onnx.load_from_string(Bundle.read(second).member("model.fp32.onnx"))
    assert [one.name for one in graph.graph.initializer].count(CENTRE) == 1
    assert score(second, frames) == pytest.approx(score(dense, frames), rel=0.1)


def test_golden_scores_are_those_of_the_moved_graph(dense: Path, good: Callable[..., Picture], tmp_path: Path) -> None:
    recentre(Bundle.read(dense), prepared([good(at) for at in range(10)]), tmp_path / "new.irf")
    new = Bundle.read(tmp_path / "new.irf")
    model = new.manifest.models["fp32"]
    network = OnnxRuntimeNetwork(new.member(model.file), threads=1)
    assert check(new, model, network) < 1e-6
    assert difference(new, "fp32", new.member("line.onnx")) < 1e-5
    executor = CpuExecutor(network, new.manifest.preprocess, model.scoring)
    assert executor.score_pixels(new.golden["images"][0]).score == pytest.approx(new.golden["scores"][0])  # type: ignore[arg-type]


def test_what_cannot_be_moved_is_refused(
    tiny_path: Path, dense: Path, tiny_bundle: Callable[..., Path], good: Callable[..., Picture], tmp_path: Path
) -> None:
    pictures, target = prepared([good(at) for at in range(10)]), tmp_path / "new.irf"
    with pytest.raises(UsageError, match="has no densities that can be moved"):
        recentre(Bundle.read(tiny_path), pictures, target)
    with pytest.raises(UsageError, match="9 pictures are too few"):
        recentre(Bundle.read(dense), pictures[:9], target)
    with pytest.raises(UsageError, match="several products"):
        recentre(Bundle.read(tiny_bundle(tmp_path / "two.irf", products=("a", "b"))), pictures, target)
    assert not target.exists()


def test_a_half_precision_field_keeps_its_type(dense: Path, good: Callable[..., Picture], tmp_path: Path) -> None:
    old = Bundle.read(dense)
    model = onnx.load_from_string(old.member("model.fp32.onnx"))
    for node in model.graph.node:
        if node.name == "/density/Clip":
            node.input[0], node.output[0] = "half", "clipped"
    at = len(model.graph.node) - 1
    model.graph.node.insert(at, helper.make_node("Cast", ["white"], ["half"], to=TensorProto.FLOAT16))
    model.graph.node.append(helper.make_node("Cast", ["clipped"], ["field"], to=TensorProto.FLOAT))
    for one in model.graph.initializer:
        if one.name in ("low", "high"):
            one.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(one).astype(np.float16), one.name))
    members = {name: old.member(name) for name in old.manifest.members}
    members["model.fp32.onnx"] = model.SerializeToString()
    half = tmp_path / "half.irf"
    bundles.write(half, old.manifest, with_line(half, old.manifest, members))
    recentre(Bundle.read(tmp_path / "half.irf"), prepared([good(at) for at in range(10)]), tmp_path / "new.irf")
    graph = onnx.load_from_string(Bundle.read(tmp_path / "new.irf").member("model.fp32.onnx"))
    centre = next(one for one in graph.graph.initializer if one.name == CENTRE)
    assert centre.data_type == TensorProto.FLOAT16


def test_no_torch_is_needed() -> None:
    code = "import sys; sys.modules['torch'] = None; import edgeirf.export.recentre"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
