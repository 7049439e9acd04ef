"""The seam between INT8 graphs and what writes them: edgeirf's own placement, or ``nvidia-modelopt``."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeirf.calib.fitting.ranges import Method, value_range
from edgeirf.errors import UsageError
from edgeirf.export.precision.quantisers.observe import observe
from edgeirf.export.precision.quantisers.own import Layout, Ranges, to_int8

QUANTISERS = ("edgeirf", "modelopt")


class Quantiser(Protocol):
    """Calibrated once, then asked for graphs with different layers in float.

    Attributes:
        ranges: lowest and highest value of every activation of the FP32 graph.
    """

    ranges: Ranges

    def quantise(self, graph: bytes, layout: Layout, keep: Set[str]) -> bytes:
        """The INT8 graph of an FP32 graph whose activations are those calibrated on.

        Args:
            graph: the FP32 ONNX graph; its last layers may have changed since calibration.
            layout: the family of back ends to place the pairs for.
            keep: nodes that stay in floating point; the last layers always are among them.
        """
        ...


class OwnQuantiser:
    """Ranges from the graph's own activations, pairs written by :mod:`edgeirf.export.precision.quantisers.own`."""

    def __init__(self, graph: bytes, batches: Sequence[NDArray[np.float32]], method: Method) -> None:
        self.ranges: Ranges = {name: value_range(h, method) for name, h in observe(graph, batches).items()}

    def quantise(self, graph: bytes, layout: Layout, keep: Set[str]) -> bytes:
        """See :class:`Quantiser`."""
        return to_int8(graph, self.ranges, layout, keep)


def quantiser(name: str, graph: bytes, batches: Sequence[NDArray[np.float32]], method: Method) -> Quantiser:
    """Calibrates the quantiser called ``name`` on network inputs ``(T, 3, H, W)``.

    Raises:
        UsageError: there is none of that name, or its library is missing.
    """
    if name == "edgeirf":
        return OwnQuantiser(graph, batches, method)
    if name == "modelopt":
        from edgeirf.export.precision.quantisers.modelopt import ModelOptQuantiser

        return ModelOptQuantiser(graph, batches, method)
    raise UsageError(f"unknown quantiser {name!r}: choose one of {', '.join(QUANTISERS)}")
