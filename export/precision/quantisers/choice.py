"""Which quantiser a name means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeirf.calib.fitting.ranges import Method
from edgeirf.errors import UsageError
from edgeirf.export.precision.quantisers.modelopt import ModelOptQuantiser
from edgeirf.export.precision.quantisers.quantiser import OwnQuantiser, Quantiser

QUANTISERS = ("edgeirf", "modelopt")


def quantiser(name: str, graph: bytes, batches: Sequence[NDArray[np.float32]], method: Method) -> Quantiser:
    """Calibrates the quantiser called ``name`` on network inputs ``(T, 3, H, W)``.

    Raises:
        UsageError: there is none of that name, or its library is missing.
    """
    if name == "edgeirf":
        return OwnQuantiser(graph, batches, method)
    if name == "modelopt":
        return ModelOptQuantiser(graph, batches, method)
    raise UsageError(f"unknown quantiser {name!r}: choose one of {', '.join(QUANTISERS)}")
