"""Large constants that FP16 holds exactly are stored so: the file is smaller, every value is the same."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LEAST = 100_000
"""Values of a constant that is worth a node."""


def stored_in_half(graph: bytes) -> bytes:
    """The graph with a Cast behind each such constant; libraries fold it as they load the graph.

    Args:
        graph: any graph of a bundle.
    """
    model = onnx.load_from_string(graph)
    for constant in model.graph.initializer:
        if constant.data_type != TensorProto.FLOAT or int(np.prod(constant.dims)) < LEAST:
            continue
        values = numpy_helper.to_array(constant)
        with np.errstate(over="ignore"):
            halves = values.astype(np.float16)
        if np.array_equal(halves, values):
            name = constant.name
            constant.CopyFrom(numpy_helper.from_array(halves, f"{name}_half"))
            cast = helper.make_node("Cast", [constant.name], [name], name=f"{name}_cast", to=TensorProto.FLOAT)
            model.graph.node.insert(0, cast)
    return model.SerializeToString()
