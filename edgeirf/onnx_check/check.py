"""What a graph of a bundle may be: operators and attributes that the exporter writes, and sizes that have a bound."""

from __future__ import annotations

import math
from collections.abc import Mapping

from edgeirf.errors import BundleError
from edgeirf.onnx_check.call import Call, Known
from edgeirf.onnx_check.computing import work
from edgeirf.onnx_check.graph import FLOAT, Graph, Node, Shape, Value, parse
from edgeirf.onnx_check.shapes import RULES, infer
from edgeirf.onnx_check.values import follow

OPSETS = range(17, 22)
MAX_NODES = 20_000
MAX_RANK = 8
FLAT_VALUES, VALUES_PER_PIXEL = 1 << 27, 256
"""Values alive at once: the larger of 512 MiB of float32 and so many a pixel of the input. EfficientNet-Lite0 has 28 a
pixel; the attention of a 1024x1024 picture takes 1e8 values."""
MAX_WORK = 1 << 43
"""Multiply-adds of a frame: minutes on a small processor."""

_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "AveragePool": ("auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"),
    "Cast": ("to", "saturate"),
    "Concat": ("axis",),
    "Conv": ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"),
    "DequantizeLinear": ("axis",),
    "Gather": ("axis",),
    "Gemm": ("alpha", "beta", "transA", "transB"),
    "HardSigmoid": ("alpha", "beta"),
    "LayerNormalization": ("axis", "epsilon", "stash_type"),
    "MaxPool": ("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"),
    "Pad": ("mode",),
    "QuantizeLinear": ("axis", "saturate"),
    "ReduceMax": ("axes", "keepdims"),
    "ReduceMean": ("axes", "keepdims"),
    "ReduceMin": ("axes", "keepdims"),
    "ReduceSum": ("keepdims", "noop_with_empty_axes"),
    "ReduceSumSquare": ("axes", "keepdims"),
    "Reshape": ("allowzero",),
    "Resize": ("coordinate_transformation_mode", "cubic_coeff_a", "mode", "nearest_mode"),
    "Shape": ("end", "start"),
    "Softmax": ("axis",),
    "Split": ("axis", "num_outputs"),
    "Transpose": ("perm",),
}


def check_graph(data: bytes, tiles: int, size: tuple[int, int]) -> Shape:
    """Passes a graph that edgeirf could have exported for this input, before any library sees it.

    Args:
        data: the ONNX file.
        tiles: pictures of a frame, the batch.
        size: ``(height, width)`` of a picture.

    Returns:
        Shape of the field, ``(tiles, C, h, w)``.

    Raises:
        BundleError: it is another graph; the message says in one line what is wrong with it.
    """
    try:
        graph = parse(data)
        return _run(graph, (tiles, 3, *size))
    except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise BundleError(f"not a graph that edgeirf exports: {' '.join(str(error).split())[:300]}") from None


def _run(graph: Graph, shape: Shape) -> Shape:
    """Shapes of all tensors in the order of the nodes, with the values that are alive at once and the work added up.

    What no pixel decides about stays alive: ONNX Runtime computes it when it loads the graph, and keeps it.
    """
    source, result = _ends(graph, shape)
    known = {tensor.name: Known.of(tensor) for tensor in graph.tensors}
    if len(known) != len(graph.tensors) or source.name in known:
        raise ValueError("two tensors have one name")
    fixed = set(known)
    known[source.name] = Known(shape)
    last_read = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    pixels = shape[0] * math.prod(shape[2:])
    limit, alive, done = max(FLAT_VALUES, VALUES_PER_PIXEL * pixels), math.prod(shape), 0
    for index, node in enumerate(graph.nodes):
        done += _step(node, known)
        alive += sum(math.prod(known[name].shape) for name in node.outputs)
        if alive > limit or done > MAX_WORK:
            raise ValueError(f"{node.kind} needs {alive:.2g} values in memory and {done:.2g} multiplications")
        if fixed.issuperset(filter(None, node.inputs)):
            fixed.update(node.outputs)
        used = {*node.inputs, *node.outputs} - fixed
        over = [name for name in used if name in known and last_read.get(name, -1) <= index]
        alive -= sum(math.prod(known[name].shape) for name in over)
    if result.name not in known:
        raise ValueError("its output is never written")
    return _field(known[result.name].shape, result, shape)


def _step(node: Node, known: dict[str, Known]) -> int:
    """Adds a node's outputs to ``known``; returns its work."""
    if node.kind not in RULES:
        raise ValueError(f"operator {node.kind[:60]!r}, which edgeirf never writes")
    if unknown := set(node.attributes) - set(_ATTRIBUTES.get(node.kind, ())):
        raise ValueError(f"{node.kind} with the attribute {min(unknown)[:60]!r}, which edgeirf never writes")
    if missing := [name for name in node.inputs if name and name not in known]:
        raise ValueError(f"{node.kind} reads {missing[0][:60]!r} before it is written")
    if any(not name or name in known for name in node.outputs) or len(set(node.outputs)) != len(node.outputs):
        raise ValueError(f"{node.kind} writes a tensor that is there already or has no name")
    call = Call(node, [known[name] if name else None for name in node.inputs])
    shapes = infer(call)
    if any(len(shape) > MAX_RANK for shape in shapes):
        raise ValueError(f"{node.kind} gives a tensor of more than {MAX_RANK} sides")
    known.update(zip(node.outputs, map(Known, shapes), strict=True))
    if len(shapes) == 1:
        known[node.outputs[0]] = Known(shapes[0], follow(call, shapes))
    return work(call, shapes)


def _ends(graph: Graph, shape: Shape) -> tuple[Value, Value]:
    """The graph's one input and one output."""
    if graph.opset not in OPSETS:
        raise ValueError(f"opset {graph.opset}; edgeirf reads {OPSETS[0]} to {OPSETS[-1]}")
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or not 0 < len(graph.nodes) <= MAX_NODES:
        raise ValueError(f"{len(graph.inputs)} inputs, {len(graph.outputs)} outputs, {len(graph.nodes)} nodes")
    (source,), (result,) = graph.inputs, graph.outputs
    if source.element != FLOAT or result.element != FLOAT:
        raise ValueError("its input or output is not float32")
    if not _fits(source, shape):
        raise ValueError(f"its input is {source.shape}, the manifest says {shape}")
    return source, result


def _field(field: Shape, result: Value, shape: Shape) -> Shape:
    if not _fits(result, field) or len(field) != 4 or field[0] != shape[0]:
        raise ValueError(f"its output is {field}, not a field of {shape[0]} pictures")
    if any(2 * cells > pixels for cells, pixels in zip(field[2:], shape[2:], strict=True)):
        raise ValueError(f"its field of {field[2:]} cells is too fine for {shape[2:]} pixels")
    return field


def _fits(value: Value, shape: Shape) -> bool:
    return len(value.shape) == len(shape) and all(a in (None, b) for a, b in zip(value.shape, shape, strict=True))
