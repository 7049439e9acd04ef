"""ONNX Runtime runs the network: on every CPU, and on CUDA with ``onnxruntime-gpu``."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgeirf.errors import BackendError


class OnnxRuntimeNetwork:
    """One ONNX Runtime session. Implements :class:`edgeirf.runtime.executors.base.Network`.

    Args:
        graph: the ONNX file's bytes.
        threads: intra-op threads; None takes ``EDGEIRF_THREADS`` or the cores this process may use.
        provider: ``CPUExecutionProvider`` or ``CUDAExecutionProvider``.
        fuse_int8: False computes quantise and dequantise steps in float, as the graph has them: faster for graphs that
            are laid out for other libraries.

    Raises:
        BackendError: ONNX Runtime refuses the graph, or has no such provider.
    """

    name = "onnxruntime"

    def __init__(
        self,
        graph: bytes,
        threads: int | None = None,
        provider: str = "CPUExecutionProvider",
        *,
        fuse_int8: bool = True,
    ) -> None:
        if provider not in onnxruntime.get_available_providers():
            raise BackendError(
                f"this ONNX Runtime has no {provider}: pip install onnxruntime-gpu instead of onnxruntime"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or default_threads()
        options.inter_op_num_threads = 1
        # Spinning threads take the cores from the camera and other programs: measured 2.5x slower on a busy machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if not fuse_int8:
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(graph, options, providers=[provider])
        except Exception as error:  # ONNX Runtime raises a class of its own for each status
            raise BackendError(f"ONNX Runtime refuses the graph: {_first_line(error)}") from None
        if self.session.get_providers()[0] != provider:  # ONNX Runtime falls back to the CPU and reports no error
            raise BackendError(f"ONNX Runtime could not start its {provider}: run `edgeirf doctor`")
        self._input = self.session.get_inputs()[0].name
        self._output = self.session.get_outputs()[0].name

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`edgeirf.runtime.executors.base.Network`."""
        try:
            field: NDArray[np.float32] = self.session.run([self._output], {self._input: batch})[0]
        except Exception as error:
            raise BackendError(f"ONNX Runtime failed: {_first_line(error)}") from None
        return field

    def close(self) -> None:
        """See :class:`edgeirf.runtime.executors.base.Network`."""
        vars(self).pop("session", None)


def default_threads() -> int:
    """``EDGEIRF_THREADS``, else the number of cores this process may use, at most 8."""
    asked = os.environ.get("EDGEIRF_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 8)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
