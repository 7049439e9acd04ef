"""What edgeirf reads of an ONNX file. Every other field is refused, external data and functions among them.

Field numbers are those of ``onnx.proto`` (ONNX 1.16, IR version 10).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from edgeirf.onnx_check.wire import Fields, Schema, read

_MODEL: Schema = {
    1: ("ir_version", "int"),
    2: ("producer_name", "bytes"),
    3: ("producer_version", "bytes"),
    6: ("doc_string", "bytes"),
    7: ("graph", "bytes"),
    8: ("opset_import", "many"),
}
_OPSET: Schema = {1: ("domain", "bytes"), 2: ("version", "int")}
_GRAPH: Schema = {
    1: ("node", "many"),
    2: ("name", "bytes"),
    5: ("initializer", "many"),
    10: ("doc_string", "bytes"),
    11: ("input", "many"),
    12: ("output", "many"),
    13: ("value_info", "many"),
}
_NODE: Schema = {
    1: ("input", "many"),
    2: ("output", "many"),
    3: ("name", "bytes"),
    4: ("op_type", "bytes"),
    5: ("attribute", "many"),
    6: ("doc_string", "bytes"),
    7: ("domain", "bytes"),
}
_ATTRIBUTE: Schema = {
    1: ("name", "bytes"),
    2: ("f", "float"),
    3: ("i", "int"),
    4: ("s", "bytes"),
    8: ("ints", "ints"),
    13: ("doc_string", "bytes"),
    20: ("type", "int"),
}
_TENSOR: Schema = {1: ("dims", "ints"), 2: ("data_type", "int"), 8: ("name", "bytes"), 9: ("raw_data", "bytes")}
_VALUE: Schema = {1: ("name", "bytes"), 2: ("type", "bytes"), 3: ("doc_string", "bytes")}
_TYPE: Schema = {1: ("tensor_type", "bytes")}
_TENSOR_TYPE: Schema = {1: ("elem_type", "int"), 2: ("shape", "bytes")}
_SHAPE: Schema = {1: ("dim", "many")}
_DIM: Schema = {1: ("dim_value", "int"), 2: ("dim_param", "bytes")}

_STANDALONE_MODEL: Schema = {**_MODEL, 14: ("metadata_props", "many")}
_ENTRY: Schema = {1: ("key", "bytes"), 2: ("value", "bytes")}

ELEMENTS = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8"}
"""ONNX's number of an element type to numpy's name, for those that the exporter writes."""
FLOAT = 1
_OF_STANDALONE = {9, 11}
"""Element types that standalone graphs alone have."""
_ATTRIBUTE_FIELDS = {1: "f", 2: "i", 3: "s", 7: "ints"}

Attribute = float | int | str | tuple[int, ...]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Tensor:
    """An initializer: name, shape, number of its element type, bytes."""

    name: str
    shape: Shape
    element: int
    data: memoryview

    def array(self) -> NDArray[np.generic]:
        """Its values."""
        return np.frombuffer(self.data, ELEMENTS[self.element]).reshape(self.shape)


@dataclass(frozen=True)
class Node:
    """One operator with the names of what it reads and writes."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True)
class Value:
    """The graph's input or output: name, element type, and dimensions, None where it is open."""

    name: str
    element: int
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Graph:
    """A whole model, as far as it is allowed."""

    opset: int
    nodes: Sequence[Node]
    tensors: Sequence[Tensor]
    inputs: Sequence[Value]
    outputs: Sequence[Value]
    metadata: Mapping[str, str]


def parse(data: bytes, *, standalone: bool = False) -> Graph:
    """Reads an ONNX file.

    Args:
        data: the file.
        standalone: it may have metadata, float64 and bool, too.

    Raises:
        ValueError: it is damaged, or holds what edgeirf never writes.
    """
    model = read(memoryview(data), _STANDALONE_MODEL if standalone else _MODEL, "the model")
    graph = read(_one(model, "graph", "the model"), _GRAPH, "the graph")
    for value in _many(graph, "value_info"):
        _value(value)
    return Graph(
        _opset(model),
        [_node(one) for one in _many(graph, "node")],
        [_tensor(one, standalone) for one in _many(graph, "initializer")],
        [_value(one) for one in _many(graph, "input")],
        [_value(one) for one in _many(graph, "output")],
        _metadata(_many(model, "metadata_props")),
    )


def _metadata(entries: Sequence[memoryview]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in entries:
        fields = read(one, _ENTRY, "an entry of the metadata")
        key = _text(fields, "key")
        if key in found:
            raise ValueError(f"its metadata have {key[:60]!r} twice")
        found[key] = _text(fields, "value")
    return found


def _opset(model: Fields) -> int:
    imported = [read(one, _OPSET, "opset_import") for one in _many(model, "opset_import")]
    if len(imported) != 1:
        raise ValueError(f"it imports {len(imported)} sets of operators")
    (opset,) = imported
    if _text(opset, "domain"):
        raise ValueError(f"it imports the operators of {_text(opset, 'domain')!r}")
    return _number(opset, "version")


def _node(data: memoryview) -> Node:
    fields = read(data, _NODE, "a node")
    kind = _text(fields, "op_type")
    if domain := _text(fields, "domain"):
        raise ValueError(f"operator {kind!r} is of the domain {domain!r}")
    attributes: dict[str, Attribute] = {}
    for one in _many(fields, "attribute"):
        name, value = _attribute(one, kind)
        if name in attributes:
            raise ValueError(f"{kind!r} has its attribute {name!r} twice")
        attributes[name] = value
    inputs, outputs = ([_decode(name) for name in _many(fields, part)] for part in ("input", "output"))
    return Node(kind, tuple(inputs), tuple(outputs), attributes)


def _attribute(data: memoryview, kind: str) -> tuple[str, Attribute]:
    fields = read(data, _ATTRIBUTE, f"an attribute of {kind!r}")
    name = _text(fields, "name")
    field = _ATTRIBUTE_FIELDS.get(_number(fields, "type"))
    others = set(_ATTRIBUTE_FIELDS.values()) & set(fields) - {field}
    if field is None or others:
        raise ValueError(f"the attribute {name!r} of {kind!r} is not a number, text or list of numbers")
    if field == "ints":
        return name, tuple(cast("list[int]", fields.get("ints", [])))
    if field == "s":
        return name, _text(fields, "s")
    if field == "i":
        return name, _number(fields, "i")
    return name, float(np.frombuffer(_one(fields, "f", name), "<f4")[0]) if "f" in fields else 0.0


def _tensor(data: memoryview, standalone: bool) -> Tensor:
    fields = read(data, _TENSOR, "an initializer")
    name, element = _text(fields, "name"), _number(fields, "data_type")
    shape = tuple(cast("list[int]", fields.get("dims", [])))
    if element not in ELEMENTS or (element in _OF_STANDALONE and not standalone):
        raise ValueError(f"initializer {name!r} has element type {element}")
    raw = _one(fields, "raw_data", f"initializer {name!r}") if "raw_data" in fields else memoryview(b"")
    if (
        len(shape) > 8
        or min(shape, default=1) < 0
        or math.prod(shape) * np.dtype(ELEMENTS[element]).itemsize != len(raw)
    ):
        raise ValueError(f"initializer {name!r} does not have the bytes that its shape needs")
    return Tensor(name, shape, element, raw)


def _value(data: memoryview) -> Value:
    fields = read(data, _VALUE, "a value")
    name = _text(fields, "name")
    kind = read(_one(fields, "type", name), _TYPE, f"the type of {name!r}")
    tensor = read(_one(kind, "tensor_type", name), _TENSOR_TYPE, f"the type of {name!r}")
    shape = read(_one(tensor, "shape", name), _SHAPE, f"the shape of {name!r}") if "shape" in tensor else {}
    dimensions = [read(one, _DIM, f"the shape of {name!r}") for one in _many(shape, "dim")]
    return Value(
        name,
        _number(tensor, "elem_type"),
        tuple(_number(one, "dim_value") if "dim_value" in one else None for one in dimensions),
    )


def _many(fields: Fields, name: str) -> list[memoryview]:
    return cast("list[memoryview]", fields.get(name, []))


def _one(fields: Fields, name: str, what: str) -> memoryview:
    if name not in fields:
        raise ValueError(f"{what} lacks its {name}")
    return cast(memoryview, fields[name][0])


def _number(fields: Fields, name: str) -> int:
    return cast("list[int]", fields.get(name, [0]))[0]


def _text(fields: Fields, name: str) -> str:
    return _decode(_one(fields, name, name)) if name in fields else ""


def _decode(data: memoryview) -> str:
    try:
        return bytes(data).decode()
    except UnicodeDecodeError:
        raise ValueError("a name is not UTF-8") from None
