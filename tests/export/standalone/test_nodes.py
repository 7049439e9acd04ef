from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeirf.export.standalone.nodes import Nodes


def test_equal_constants_are_one_and_others_are_not() -> None:
    nodes = Nodes()
    assert nodes.whole(1) == nodes.whole(1)
    assert len({nodes.whole(1), nodes.whole([1]), nodes.double(1), nodes.constant(1, np.int32)}) == 4
    assert len(nodes.constants) == 4


def test_names_of_outputs_differ() -> None:
    nodes = Nodes()
    names = [nodes("Add", nodes.whole(1), nodes.whole(2)) for _ in range(3)]
    assert len(set(names)) == 3


def test_sides_and_shapes_are_those_of_the_tensor(compute: Callable[..., Any]) -> None:
    nodes = Nodes()
    nodes("Reshape", "x", nodes.shape(nodes.side("x", 1), 2, 1), out="y")
    assert compute(nodes, "y", x=np.zeros((2, 5), np.float32)).shape == (5, 2, 1)


def test_what_onnxruntime_fuses_has_a_name_of_its_own() -> None:
    """ONNX Runtime 1.20 refused a graph of which it had fused two slices without names, twice."""
    nodes = Nodes()
    for start in (0, 1):
        nodes("Slice", "a", nodes.whole([start]), nodes.whole([start + 1]))
        nodes("Gather", "a", nodes.whole([start]))
    names = [node.name for node in nodes.nodes]
    assert all(names)
    assert len(set(names)) == 4
