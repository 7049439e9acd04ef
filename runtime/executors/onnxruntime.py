"""ONNX Runtime runs the network: on every CPU, and on CUDA with ``onnxruntime-gpu``."""

from __future__ import annotations

import ctypes
import os
import weakref

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgeirf.errors import BackendError
from edgeirf.runtime.executors.cores import default_threads

_open: weakref.WeakSet[OnnxRuntimeNetwork] = weakref.WeakSet()
onnxruntime.disable_telemetry_events()  # for a program that has imported it before edgeirf could set the variable


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
        self._process = os.getpid()
        _open.add(self)
        self._input = self.session.get_inputs()[0].name
        self._output = self.session.get_outputs()[0].name

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`edgeirf.runtime.executors.base.Network`."""
        if os.getpid() != self._process:  # the session's threads stayed in the parent: the call would never return
            raise BackendError("the model was loaded before this process was forked: load the model in the child")
        if self.session is None:
            raise BackendError("the model is closed: load it again")
        try:
            field: NDArray[np.float32] = self.session.run([self._output], {self._input: batch})[0]
        except Exception as error:
            raise BackendError(f"ONNX Runtime failed: {_first_line(error)}") from None
        return field

    def close(self) -> None:
        """See :class:`edgeirf.runtime.executors.base.Network`."""
        _open.discard(self)
        if os.getpid() == self._process:
            self.session = None


def _leak_inherited() -> None:
    """In a forked child: ending a session would wait for threads that stayed in the parent, so none is ever ended."""
    for network in list(_open):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(network.session))


os.register_at_fork(after_in_child=_leak_inherited)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
