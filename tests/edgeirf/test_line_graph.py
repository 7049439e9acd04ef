from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeirf.bundle import Bundle, write
from edgeirf.conformal import Calibration
from edgeirf.errors import BundleError
from edgeirf.frame_contract import FrameContract
from edgeirf.line_graph import MEMBER, OPERATORS, check_line, state
from edgeirf.manifest import Manifest

Change = Callable[[onnx.ModelProto], object]


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.read(tiny_bundle(tmp_path_factory.mktemp("line") / "line.irf", held_out=9, line=True))


def members(bundle: Bundle) -> dict[str, bytes]:
    return {name: bundle.member(name) for name in bundle.manifest.members}


def other_scores(manifest: Manifest) -> Manifest:
    model = manifest.models["fp32"]
    own = model.calibration["part"]
    raised = Calibration((*own.scores[:-1], own.scores[-1] * 1.01), own.peaks)
    return replace(manifest, models={"fp32": replace(model, calibration={"part": raised})})


def other_scoring(manifest: Manifest) -> Manifest:
    model = manifest.models["fp32"]
    return replace(manifest, models={"fp32": replace(model, scoring=replace(model.scoring, sigma=3.0))})


def renamed(manifest: Manifest) -> Manifest:
    model = manifest.models["fp32"]
    return replace(manifest, models={"fp32": replace(model, calibration={"lid": model.calibration["part"]})})


@pytest.mark.parametrize(
    "change",
    [
        other_scores,
        other_scoring,
        renamed,
        lambda one: replace(one, false_reject_rate=0.2),
        lambda one: replace(one, preprocess=replace(one.preprocess, roi=(0, 0, 64, 65))),
        lambda one: replace(one, preprocess=replace(one.preprocess, color="gray")),
        lambda one: replace(one, frame=FrameContract(96, 80, 8, 3)),
    ],
    ids=["scores", "scoring", "product", "rate", "region", "colour", "frame"],
)
def test_a_stale_graph_is_neither_written_nor_read(
    bundle: Bundle, tmp_path: Path, change: Callable[[Manifest], Manifest]
) -> None:
    with pytest.raises(BundleError, match=r"line.onnx is of other thresholds or settings: export the bundle"):
        write(tmp_path / "stale.irf", change(bundle.manifest), members(bundle))
    assert not (tmp_path / "stale.irf").exists()
    with pytest.raises(BundleError, match="is of other thresholds"):
        check_line(bundle.member(MEMBER), change(bundle.manifest), members(bundle))


def test_what_decides_nothing_leaves_the_graph_as_it_is(bundle: Bundle, tmp_path: Path) -> None:
    write(tmp_path / "same.irf", replace(bundle.manifest, created="2027-01-01T00:00:00Z"), members(bundle))
    assert Bundle.read(tmp_path / "same.irf").member(MEMBER) == bundle.member(MEMBER)


def test_whole_numbers_and_their_decimals_are_one_state(bundle: Bundle) -> None:
    model = bundle.manifest.models["fp32"]
    whole = replace(bundle.manifest, models={"fp32": replace(model, scoring=replace(model.scoring, sigma=2))})
    network = bundle.member(model.file)
    assert state(whole, "fp32", network) == state(bundle.manifest, "fp32", network)


def test_another_network_is_found(bundle: Bundle) -> None:
    network = onnx.load_from_string(bundle.member("model.fp32.onnx"))
    (weight,) = network.graph.initializer
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.5), weight.name))
    changed = {**members(bundle), "model.fp32.onnx": network.SerializeToString()}
    with pytest.raises(BundleError, match="is of other thresholds"):
        check_line(bundle.member(MEMBER), bundle.manifest, changed)


def set_metadata(key: str, value: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        (entry,) = (one for one in model.metadata_props if one.key == f"edgeirf.{key}")
        entry.value = value

    return change


def flip_weight(model: onnx.ModelProto) -> None:
    (weight,) = (one for one in model.graph.initializer if one.name == "net_weight")
    weight.raw_data = bytes([weight.raw_data[0] ^ 1]) + weight.raw_data[1:]


def network_node(kind: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        (node,) = (one for one in model.graph.node if one.op_type == kind and one.output[0].startswith("net_"))
        node.attribute[0].ints[0] += 1

    return change


def external(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


CHANGES: dict[str, tuple[Change, str]] = {
    "schema": (set_metadata("schema", "2"), "schema '2'"),
    "graph": (set_metadata("graph", "int8"), "graph 'int8'"),
    "twice": (lambda one: one.metadata_props.append(one.metadata_props[0]), "twice"),
    "weight": (flip_weight, "weights of its network are not those of the bundle"),
    "node": (network_node("AveragePool"), "network is not the one of the bundle"),
    "operator": (
        lambda one: one.graph.node.insert(0, helper.make_node("NonZero", ["frame"], ["x"])),
        "operator 'NonZero', which edgeirf never writes",
    ),
    "domain": (
        lambda one: one.graph.node.insert(0, helper.make_node("Add", ["frame"], ["x"], domain="evil")),
        "domain 'evil'",
    ),
    "input": (
        lambda one: one.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [])),
        "inputs frame, product, red_first, more",
    ),
    "output": (lambda one: one.graph.output.pop(), "outputs score"),
    "written twice": (lambda one: one.graph.node.append(one.graph.node[0]), "two tensors have one name"),
    "external data": (external, "which edgeirf never writes"),
    "function": (lambda one: one.functions.add(name="f"), "the model has field 25"),
    "subgraph": (
        lambda one: one.graph.node[0].attribute.append(helper.make_attribute("g", onnx.GraphProto(name="g"))),
        "which edgeirf never writes",
    ),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=list(CHANGES))
def test_a_graph_that_the_exporter_did_not_write_is_refused(bundle: Bundle, change: Change, message: str) -> None:
    model = onnx.load_from_string(bundle.member(MEMBER))
    change(model)
    with pytest.raises(BundleError, match=f"line.onnx is not a graph that edgeirf exports: .*{message}") as caught:
        check_line(model.SerializeToString(), bundle.manifest, members(bundle))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_graph_that_is_cut_short_is_refused(bundle: Bundle, cut: int) -> None:
    with pytest.raises(BundleError, match=r"line\.onnx is"):
        check_line(bundle.member(MEMBER)[:cut], bundle.manifest, members(bundle))


def test_a_bundle_without_the_graph_is_read(tiny_path: Path) -> None:
    assert MEMBER not in Bundle.read(tiny_path).manifest.members


def test_every_operator_that_is_allowed_is_one_of_onnx() -> None:
    assert all(onnx.defs.has(kind) for kind in OPERATORS)
    assert not OPERATORS & {"If", "Loop", "Scan", "NonZero", "Resize"}
