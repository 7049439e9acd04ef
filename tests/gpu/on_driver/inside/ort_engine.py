"""The network in TensorRT's place: ONNX Runtime, called by the stand-in driver when the stream comes to it."""

from __future__ import annotations

import ctypes

import numpy as np
import onnxruntime

from edgeirf.errors import BackendError

_HOST_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_library = ctypes.CDLL("libcuda.so.1")
_library.cuLaunchHostFunc.argtypes = (ctypes.c_void_p, _HOST_FUNCTION, ctypes.c_void_p)
_library.cuStreamIsCapturing.argtypes = (ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))


class OrtEngine:
    """One graph at one batch size. As picky as TensorRT: bound before it runs, run before it is captured."""

    def __init__(self, graph: bytes, input_shape: tuple[int, int, int, int]) -> None:
        self.graph = graph
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.input_shape = input_shape
        self.output_shape = self._infer(np.zeros(input_shape, np.float32)).shape
        self._bound: tuple[int, int] | None = None
        self._callbacks: dict[tuple[int, int], ctypes._FuncPointer] = {}
        self._has_run = False
        self.closed = 0

    def bind(self, input_address: int, output_address: int) -> None:
        self._bound = (input_address, output_address)

    def enqueue(self, stream: int) -> None:
        assert self._bound is not None
        capturing = ctypes.c_int()
        if _library.cuStreamIsCapturing(stream, ctypes.byref(capturing)):
            raise BackendError("the engine did not start: the driver failed")
        assert self._has_run or not capturing.value, "captured before it has run once"
        if _library.cuLaunchHostFunc(stream, self._callback(self._bound), None):
            raise BackendError("the engine did not start: the driver failed")
        self._has_run = True

    def capturable(self, stream: int) -> bool:
        return True

    def close(self) -> None:
        self.closed += 1

    def _callback(self, addresses: tuple[int, int]) -> ctypes._FuncPointer:
        if addresses not in self._callbacks:  # kept for good: a graph holds its address
            self._callbacks[addresses] = _HOST_FUNCTION(lambda _: self._run(*addresses))
        return self._callbacks[addresses]

    def _run(self, input_address: int, output_address: int) -> None:
        output = _view(output_address, self.output_shape)
        output[...] = self._infer(_view(input_address, self.input_shape))

    def _infer(self, batch: np.ndarray) -> np.ndarray:
        return self._session.run(None, {self._session.get_inputs()[0].name: batch})[0]


def _view(address: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.ctypeslib.as_array((ctypes.c_float * int(np.prod(shape))).from_address(address)).reshape(shape)
