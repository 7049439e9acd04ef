"""``nvidia-modelopt`` as the quantiser of TensorRT's INT8 graph. It is large, so it is no dependency of edgeirf."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence, Set
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeirf.calib.fitting.ranges import Method
from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.export.precision.quantisers.own import Layout
from edgeirf.export.precision.quantisers.quantiser import OwnQuantiser


class ModelOptQuantiser(OwnQuantiser):
    """Calibrates and places pairs with ``modelopt.onnx.quantization``, on the CPU; TensorRT's layout only.

    The graph for ONNX Runtime is edgeirf's own, as are the ranges that rank the layers.

    Raises:
        UsageError: the library is missing, or does not know the method.
    """

    def __init__(self, graph: bytes, batches: Sequence[NDArray[np.float32]], method: Method) -> None:
        try:
            from modelopt.onnx.quantization import quantize
        except ImportError as error:
            raise UsageError(f"--quantiser modelopt needs it ({error}): pip install 'nvidia-modelopt[onnx]'") from None
        if method == "percentile":
            raise UsageError("--quantiser modelopt calibrates by entropy or minmax, not by percentile")
        super().__init__(graph, batches, method)
        self._modelopt = quantize
        self._method = {"entropy": "entropy", "minmax": "max"}[method]
        self._pictures = np.concatenate(list(batches))

    def quantise(self, graph: bytes, layout: Layout, keep: Set[str]) -> bytes:
        """See :class:`edgeirf.export.precision.quantisers.quantiser.Quantiser`.

        Raises:
            EdgeirfError: modelopt failed.
        """
        if layout != "tensorrt":
            return super().quantise(graph, layout, keep)
        with tempfile.TemporaryDirectory() as folder:
            source, target = (os.path.join(folder, name) for name in ("fp32.onnx", "int8.onnx"))
            Path(source).write_bytes(graph)
            try:
                self._modelopt(
                    source,
                    quantize_mode="int8",
                    calibration_data={onnx.load_from_string(graph).graph.input[0].name: self._pictures},
                    calibration_method=self._method,
                    calibration_eps=["cpu"],
                    nodes_to_exclude=[re.escape(name) for name in sorted(keep)],
                    high_precision_dtype="fp32",
                    log_level="ERROR",
                    output_path=target,
                )
                return Path(target).read_bytes()
            except Exception as error:
                raise EdgeirfError(f"nvidia-modelopt failed ({error}): leave out --quantiser modelopt") from error
