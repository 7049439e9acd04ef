"""The precision of each convolution and matrix product of an engine, read from the builder's list of layers.

TensorRT drops INT8 without a message when a quantiser is not where it wants it. With detailed profiling verbosity it
lists every layer of the engine with the data types of its tensors and, under ``Metadata``, the ONNX nodes in it.
The spelling changed over the releases: ``Format/Datatype: Thirty-two wide channel vectorized row major Int8 format``
(8.x to 10.3), ``Format/Datatype: Half`` (10.4 on), ``Datatype: Int8, Format: ...`` (RTX and 11.x).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

UNKNOWN = "unknown"
_TYPES = {"fp32": "Float", "fp16": "Half", "bf16": "BFloat16"}
_TYPE = re.compile(r"\b(Int8|Half|Float|BFloat16|FP8|FP4|Int4|FP32|FP16|BF16)\b", re.IGNORECASE)
_LAYER = re.compile(r"^\s*Name: (?P<name>.*?), LayerType: (?P<kind>[^,]+), (?P<rest>.*)$")
_TENSOR_TYPE = re.compile(r"(?:Format/)?Datatype: ([^,}]+)")
_NODE = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
_ARITHMETIC = re.compile(r"conv|correlation|gemm|matrix|matmul|mha|attention|fusion", re.IGNORECASE)
_TENSOR = re.compile(r"Dimensions: \[([\d,]*)\](.*?)(?=Dimensions: \[|$)", re.DOTALL)
_CONSTANTS = re.compile(r"Constants: \[.*?\}\], ")
_BYTES = {"Float": 4, "Half": 2, "BFloat16": 2, "Int8": 1, "FP8": 1}
_GENERATED = "kgen"


@dataclass(frozen=True)
class EngineLayer:
    """One layer of an engine.

    Attributes:
        name, kind: as TensorRT calls them; ``correlation``, ``gemm``, ``CaskConvolution`` ... do the heavy arithmetic.
        inputs: data types of its inputs (constants last), ``Int8``, ``Half``, ``Float`` ...
        nodes: names of the ONNX nodes it stands for.
        traffic: bytes of its inputs and outputs, without its constants: what it moves through the GPU's memory.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    nodes: tuple[str, ...]
    traffic: int = 0

    @property
    def is_arithmetic(self) -> bool:
        """Whether it multiplies matrices; attention is a generated kernel (``kgen``) that only its name gives away."""
        return bool(_ARITHMETIC.search(self.name if self.kind == _GENERATED else self.kind))


@dataclass(frozen=True)
class Product:
    """One convolution or matrix product of the graph, and what became of it.

    Attributes:
        node: name of the ONNX node.
        operation: ``convolution`` or ``matrix product``.
        precision: ``Int8``, ``Half``, ``Float`` ...: the type it is computed in; ``unknown`` when no layer names it.
        layer: kind of the engine's layer that computes it.
    """

    node: str
    operation: str
    precision: str
    layer: str


@dataclass(frozen=True)
class FusionReport:
    """Every convolution and matrix product of one engine.

    Attributes:
        flavour, version: of the TensorRT that built it.
        targets: compute capabilities it was built for; empty for the GPU at hand (RTX: any from Ampere on).
        products: in the order of the graph.
        layers: number of layers of the engine, each a launch.
        traffic: bytes of the inputs and outputs of all layers. On a network as small as ours launches and bytes are
            the time of a frame; arithmetic is not.
    """

    flavour: str
    version: str
    targets: tuple[str, ...]
    products: tuple[Product, ...]
    layers: int = 0
    traffic: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Precision to number of products, most frequent first."""
        return dict(Counter(product.precision for product in self.products).most_common())

    def outside(self, precision: str) -> tuple[Product, ...]:
        """The products that are not computed in ``precision``."""
        return tuple(product for product in self.products if product.precision != precision)

    def summary(self, precision: str, most: int = 5) -> str:
        """One line: ``61 of 62 in Int8; not: head (Float)``."""
        rest = self.outside(precision)
        line = f"{len(self.products) - len(rest)} of {len(self.products)} in {precision}"
        if rest:
            line += "; not: " + ", ".join(f"{product.node} ({product.precision})" for product in rest[:most])
        return line + (f" and {len(rest) - most} more" if len(rest) > most else "")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for the bundle's report and the header of a cached engine."""
        return {
            "flavour": self.flavour,
            "version": self.version,
            "targets": list(self.targets),
            "counts": self.counts,
            "layers": self.layers,
            "traffic": self.traffic,
            "products": [vars(product) for product in self.products],
        }


def node_name(metadata: str) -> str:
    """The ONNX node a layer's metadata names; empty when it names none."""
    found = _NODE.search(metadata or "")
    return found[1] if found else ""


def parse_layers(text: str) -> list[EngineLayer]:
    """Reads the builder's ``Layers:`` message, or what an engine inspector says in its one-line format."""
    return [_layer(match) for line in text.split("\n") if (match := _LAYER.match(line))]


def match_products(products: Iterable[tuple[str, str]], layers: list[EngineLayer]) -> tuple[Product, ...]:
    """Finds the layer that computes each product.

    Args:
        products: node name and operation of each, from the parsed network.
        layers: of the engine.
    """
    return tuple(_product(node, operation, layers) for node, operation in products)


def _product(node: str, operation: str, layers: list[EngineLayer]) -> Product:
    named = [layer for layer in layers if node in layer.nodes and layer.inputs]
    # The quantisers before and the activations after a product carry its name too; the arithmetic is what counts.
    layer = next((layer for layer in named if layer.is_arithmetic), named[0] if named else None)
    if layer is None:
        return Product(node, operation, UNKNOWN, "")
    return Product(node, operation, layer.inputs[0], layer.kind)


def _layer(match: re.Match[str]) -> EngineLayer:
    tensors, _, rest = match["rest"].partition("Outputs: ")
    types = tuple(_type(text) for text in _TENSOR_TYPE.findall(tensors))
    moved = f"{_CONSTANTS.sub('', tensors)} {rest.partition('}]')[0]}"
    traffic = sum(_size(sides, _type(text)) for sides, text in _TENSOR.findall(moved))
    return EngineLayer(match["name"], match["kind"], types, tuple(_NODE.findall(rest)), traffic)


def _size(sides: str, kind: str) -> int:
    return math.prod(int(side) for side in sides.split(",") if side) * _BYTES.get(kind, 4)


def _type(text: str) -> str:
    found = _TYPE.search(text)
    return _TYPES.get(found[1].lower(), found[1]) if found else text.strip()
