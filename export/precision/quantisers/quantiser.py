"""The seam between INT8 graphs and what writes them: edgeirf's own placement, or ``nvidia-modelopt``."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeirf.calib.fitting.ranges import Method, value_range
from edgeirf.export.precision.quantisers.observe import observe
from edgeirf.export.precision.quantisers.own import Layout, Ranges, to_int8


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
