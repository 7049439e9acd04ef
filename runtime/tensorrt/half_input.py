"""The FP16 graph with an FP16 input: the pre-processing kernel rounds, so that the engine need not."""

from __future__ import annotations

from contextlib import suppress

from edgeirf.onnx_check.graph import parse
from edgeirf.onnx_check.wire import Reader

INPUT = "image"
"""Name of the graph's one input, ``(N, 3, H, W)``, float32 as exported."""
FLOAT16 = 10
"""ONNX's number of the element type."""
_PATH = (7, 11, 2, 1)  # the model's graph, its first input, the input's type, the type of its tensor
_ELEMENT = 1


def half_input(graph: bytes) -> bytes | None:
    """The graph with its input declared FP16, so that its cast to FP16 does nothing; None where it has no such cast.

    Args:
        graph: the ONNX file. The device has no library that writes one, so a single byte is changed.
    """
    with suppress(ValueError):  # TensorRT says what is wrong with the graph
        readers = [node for node in parse(graph).nodes if INPUT in node.inputs]
        if [(node.kind, node.attributes.get("to")) for node in readers] == [("Cast", FLOAT16)]:
            return _declared(graph)
    return None


def _declared(graph: bytes) -> bytes:
    changed = bytearray(graph)
    message = memoryview(changed)
    for field in _PATH:
        message = next(v for number, _, v in Reader(message).fields() if number == field and not isinstance(v, int))
    reader = Reader(message)
    next(number for number, _, _ in reader.fields() if number == _ELEMENT)
    message[reader.at - 1] = FLOAT16
    return bytes(changed)
