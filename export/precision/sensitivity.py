"""Which layers INT8 hurts most: each is quantised alone and the field compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeirf.export.onnx.products import product_names
from edgeirf.export.precision.quantisers.own import Ranges, to_int8
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork


def sensitivities(graph: bytes, ranges: Ranges, batches: Sequence[NDArray[np.float32]]) -> dict[str, float]:
    """Product to the mean squared change of the field when its input and weights alone are INT8; worst first.

    A stand-in for the change of the scores, which are sums of squares of the field: errors of single layers add up, and
    few pictures are enough. The whitened field of good parts has variance 1, so 0.1 is a tenth of what good parts vary.

    Args:
        graph: the FP32 ONNX graph.
        ranges: of its activations.
        batches: a few network inputs ``(T, 3, H, W)``.
    """
    names = product_names(onnx.load_from_string(graph))
    reference = OnnxRuntimeNetwork(graph)
    fields = [reference.run(batch) for batch in batches]
    size = float(np.mean([np.square(field, dtype=np.float64).mean() for field in fields]))
    found = {}
    for name in names:
        alone = OnnxRuntimeNetwork(to_int8(graph, ranges, "tensorrt", keep=frozenset(names) - {name}))
        errors = [np.square(alone.run(b) - f, dtype=np.float64).mean() for b, f in zip(batches, fields, strict=True)]
        found[name] = float(np.mean(errors)) / max(size, 1e-12)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def worst_layers(found: Mapping[str, float], budget: float) -> list[str]:
    """The fewest layers, worst first, to leave in float so that the others' errors add up to at most ``budget``."""
    names, errors = list(found), list(found.values())
    count = next(count for count in range(len(names) + 1) if sum(errors[count:]) <= budget)
    return names[:count]


def without_gaps(order: Sequence[str], kept: Sequence[str]) -> list[str]:
    """The layers that ONNX Runtime's CPU kernels compute faster in float when those in ``kept`` are in float.

    The first layer, whose three input channels suit no INT8 kernel (measured: 1.3 ms against 0.3 ms), and a layer
    between two float ones, where converting the maps costs more than INT8 saves.

    Args:
        order: all layers in the order of computation.
        kept: those that stay in float for the sake of the scores.
    """
    chosen = {*kept, order[0]}
    chosen |= {b for a, b, c in zip(order, order[1:], order[2:], strict=False) if a in chosen and c in chosen}
    return [name for name in order if name in chosen]
