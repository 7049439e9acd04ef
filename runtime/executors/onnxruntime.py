"""ONNX Runtime runs the network: on every CPU, and on CUDA with ``onnxruntime-gpu``."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgeirf.errors import BackendError
from edgeirf.runtime.executors.cores import default_threads
from edgeirf.runtime.executors.one_process import OneProcess

onnxruntime.disable_telemetry_events()  # for a program that has imported it before edgeirf could set the variable


class OnnxRuntimeNetwork(OneProcess):
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
    natives = ("session",)

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
        super().__init__()
        self._input = self.session.get_inputs()[0].name
        self._output = self.session.get_outputs()[0].name

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`edgeirf.runtime.executors.base.Network`."""
        self.check_process()
        if self.session is None:
            raise BackendError("the model is closed: load it again")
        try:
            field: NDArray[np.float32] = self.session.run([self._output], {self._input: batch})[0]
        except Exception as error:
            raise BackendError(f"ONNX Runtime failed: {_first_line(error)}") from None
        return field


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
