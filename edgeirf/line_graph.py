"""``line.onnx`` of a bundle: the standalone graph for hosts without Python, which reads it and never runs it.

The graph holds pre-processing, network, thresholds and calibration scores a second time. A copy can become stale: so
it says the :func:`state` of the bundle that it was written for, and another one is refused when a bundle is written
and when it is read. ``docs/embed_contract.md`` is what hosts rely on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping

from edgeirf.errors import BundleError
from edgeirf.manifest import Manifest
from edgeirf.onnx_check.graph import Graph, Node, parse

MEMBER = "line.onnx"
SCHEMA = 1
"""Of the contract."""
PREFIX = "net_"
"""Of the names of the network inside."""

_BOOL, _BYTE, _WHOLE, _FLOAT, _DOUBLE = 9, 2, 7, 1, 11
_INPUTS = {"frame": _BYTE, "product": _WHOLE, "red_first": _BOOL}
_OUTPUTS = {
    **dict.fromkeys(("score", "p_value", "threshold", "pixel_threshold", "peak"), _DOUBLE),
    **{"reject": _BOOL, "map": _FLOAT, "area": _WHOLE},
}
OPERATORS = frozenset(
    (
        *("Add", "And", "Cast", "Clip", "Concat", "Conv", "Div", "Equal", "Floor", "Gather", "GreaterOrEqual"),
        *("Identity", "Less", "LessOrEqual", "MatMul", "MatMulInteger", "Max", "Min", "Mod", "Mul", "Not"),
        *(
            "QLinearMatMul",
            "Range",
            "ReduceMax",
            "ReduceMean",
            "ReduceMin",
            "ReduceSum",
            "ReduceSumSquare",
            "Reshape",
            "Round",
        ),
        *("Shape", "Slice", "Sqrt", "Sub", "TopK", "Transpose", "Unsqueeze", "Where"),
    )
)
"""Around the network. Inside it is what :func:`edgeirf.onnx_check.check_graph` has passed."""


def state(manifest: Manifest, key: str, network: bytes) -> str:
    """SHA-256 of all that decides about a verdict: pre-processing, rate, network, scoring, calibration scores.

    Args:
        manifest: of the bundle.
        key: of the graph inside.
        network: that graph's ONNX file.
    """
    model = manifest.models[key]
    parts = (
        dataclasses.asdict(manifest.preprocess),
        manifest.false_reject_rate,
        manifest.products,
        None if manifest.frame is None else dataclasses.asdict(manifest.frame),
        (key, model.precision, hashlib.sha256(network).hexdigest()),
        dataclasses.asdict(model.scoring),
        {name: dataclasses.asdict(own) for name, own in model.calibration.items()},
    )
    same = json.loads(json.dumps(parts, sort_keys=True), parse_int=float)  # 4 and 4.0 are one sigma
    return hashlib.sha256(json.dumps(same).encode()).hexdigest()


def check_line(data: bytes, manifest: Manifest, members: Mapping[str, bytes]) -> None:
    """Passes the standalone graph of a bundle, by reading alone.

    It has the inputs and outputs of the contract and operators of the exporter, its network is node for node the one
    of the bundle, and it was written for these thresholds.

    Args:
        data: the ONNX file.
        manifest: of the bundle.
        members: of the bundle; the networks have passed their own check.

    Raises:
        BundleError: stale, damaged, or foreign; the message says which.
    """
    try:
        graph = parse(data, standalone=True)
        said = {name.removeprefix("edgeirf."): text for name, text in graph.metadata.items()}
        key = said.get("graph", "")
        if said.get("schema") != str(SCHEMA) or key not in manifest.models:
            raise ValueError(f"schema {said.get('schema', '')[:9]!r}, graph {key[:60]!r}")
        network = members[manifest.models[key].file]
        if said.get("state") != state(manifest, key, network):
            raise BundleError(f"{MEMBER} is of other thresholds or settings: export the bundle from its run again")
        _check_ends(graph)
        _check_nodes(graph, parse(network))
    except (LookupError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BundleError(f"{MEMBER} is not a graph that edgeirf exports: {reason}") from None


def _check_ends(graph: Graph) -> None:
    inputs, outputs = ({one.name: one.element for one in ends} for ends in (graph.inputs, graph.outputs))
    if inputs != _INPUTS or outputs != _OUTPUTS or len(graph.outputs) != len(outputs):
        raise ValueError(f"inputs {', '.join(inputs)[:99]}, outputs {', '.join(outputs)[:99]}")


def _check_nodes(graph: Graph, network: Graph) -> None:
    """The network's nodes are in a row, behind the one that writes its input; around them are known operators."""
    names = [name for node in graph.nodes for name in node.outputs] + [one.name for one in graph.tensors]
    if len(set(names) | _INPUTS.keys()) != len(names) + len(_INPUTS):
        raise ValueError("two tensors have one name")
    start = next(i for i, node in enumerate([*graph.nodes, Node("", (), (PREFIX,), {})]) if _inside(node)) + 1
    end = start + len(network.nodes)
    if list(graph.nodes[start:end]) != [_renamed(node) for node in network.nodes]:
        raise ValueError("its network is not the one of the bundle")
    around = [*graph.nodes[:start], *graph.nodes[end:]]
    if unknown := {node.kind for node in around} - OPERATORS:
        raise ValueError(f"operator {min(unknown)[:60]!r}, which edgeirf never writes around a network")
    if sum(map(_inside, around)) != 1 or graph.nodes[start - 1].outputs != (PREFIX + network.inputs[0].name,):
        raise ValueError("its network does not read the frame alone")
    own = {one.name: (one.shape, one.element, one.data) for one in graph.tensors if one.name.startswith(PREFIX)}
    if own != {PREFIX + one.name: (one.shape, one.element, one.data) for one in network.tensors}:
        raise ValueError("the weights of its network are not those of the bundle")


def _inside(node: Node) -> bool:
    return any(name.startswith(PREFIX) for name in node.outputs)


def _renamed(node: Node) -> Node:
    def prefixed(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(PREFIX + name if name else name for name in names)

    return Node(node.kind, prefixed(node.inputs), prefixed(node.outputs), node.attributes)
