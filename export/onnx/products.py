"""The layers that multiply weights with activations: these become INT8."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import onnx

PRODUCTS = ("Conv", "MatMul", "Gemm")


@dataclass(frozen=True)
class Structure:
    """Which node writes each tensor, and which nodes read it.

    Attributes:
        producer: tensor to the node that makes it.
        readers: tensor to the nodes that read it, in order.
        constants: names of the weights.
    """

    producer: dict[str, onnx.NodeProto]
    readers: dict[str, list[onnx.NodeProto]]
    constants: frozenset[str]

    @classmethod
    def of(cls, model: onnx.ModelProto) -> Structure:
        """Of the main graph."""
        readers: defaultdict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in model.graph.node:
            for name in dict.fromkeys(node.input):
                readers[name].append(node)
        producer = {name: node for node in model.graph.node for name in node.output}
        return cls(producer, dict(readers), frozenset(i.name for i in model.graph.initializer))

    def is_product(self, node: onnx.NodeProto) -> bool:
        """Whether it multiplies an activation with a weight; attention's products of two activations do not count."""
        return node.op_type in PRODUCTS and node.input[1] in self.constants and node.input[0] not in self.constants

    def activated(self, node: onnx.NodeProto) -> str:
        """The product's output, or that of the clip (ReLU6) or ReLU behind it where nothing else reads it."""
        output = node.output[0]
        behind = self.readers.get(output, [])
        return behind[0].output[0] if len(behind) == 1 and behind[0].op_type in ("Clip", "Relu") else output


def product_names(model: onnx.ModelProto) -> list[str]:
    """Names of the products, in the order of computation."""
    structure = Structure.of(model)
    return [node.name for node in model.graph.node if structure.is_product(node)]


def layer_of(node: str) -> str:
    """Readable name of a product: ``/noise/blocks.0/mlp/mlp.2/MatMul`` is ``noise.blocks.0.mlp.2``."""
    parts = [part for part in node.split("/")[:-1] if part]
    kept = [part for part, after in pairwise([*parts, ""]) if not after.startswith(f"{part}.")]
    return ".".join(kept).removeprefix("extractor.").removeprefix("field.") or node


def drop_unused_weights(model: onnx.ModelProto) -> None:
    """Removes initializers that no node reads. In place."""
    read = {name for node in model.graph.node for name in node.input}
    kept = [i for i in model.graph.initializer if i.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
