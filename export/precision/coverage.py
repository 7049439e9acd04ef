"""Do the calibration pictures show what the network meets on good parts?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeirf.export.precision.quantisers.observe import observe

LEAST = 0.8
"""Other good parts of the product show .92 to .97 (bottles, KolektorSDD, discs of the tests), twelve of them .84 to
.94; one picture .80, other products .48 to .78, a lens cap .43."""
QUANTILE = 5
"""Percent of the activations that are shown less than what counts."""

Batches = Sequence[NDArray[np.float32]]


def coverage(graph: bytes, shown: Batches, good: Batches) -> float:
    """Share of the range of an activation over good parts that the calibration pictures show, of the least ones.

    The gate of the precisions compares decisions on some defects; whether ranges that are too narrow change one of them
    is chance.

    Args:
        graph: the FP32 ONNX graph.
        shown: network inputs ``(T, 3, H, W)`` of the calibration pictures.
        good: of held-out good parts.
    """
    ranges = observe(graph, shown)
    shares = [
        max(0.0, min(ranges[name].highest, own.highest) - max(ranges[name].lowest, own.lowest))
        / (own.highest - own.lowest)
        for name, own in observe(graph, good).items()
        if own.highest > own.lowest
    ]
    return float(np.percentile(shares, QUANTILE))
