"""The network in TensorRT's place: ONNX Runtime, called by the stand-in driver when the stream comes to it."""

from __future__ import annotations

import ctypes
from collections import Counter

import numpy as np
import onnxruntime

from edgeirf.errors import BackendError
from edgeirf.runtime.kernels import InputLayout, input_bytes, input_view

ALIGNMENT = 256
"""Of tensors, bytes. IExecutionContext::setTensorAddress: "The pointer must have at least 256-byte alignment"."""
_HOST_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_library = ctypes.CDLL("libcuda.so.1")
_library.cuLaunchHostFunc.argtypes = (ctypes.c_void_p, _HOST_FUNCTION, ctypes.c_void_p)
_library.cuStreamIsCapturing.argtypes = (ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))


class OrtEngine:
    """One graph at one batch size, with the rules of TensorRT's execution contexts.

    - Addresses are bound before it runs, and aligned.
    - The first run allocates and waits, so that it cannot be captured: "the first enqueueV3 call ... should be done
      before capture" (developer guide, "CUDA Graphs").
    - Work of one context is not queued on two streams at once: "Using one execution context on several streams
      concurrently results in undefined behavior" (IExecutionContext::enqueueV3).

    Args:
        graph: ONNX.
        input_shape: ``(T, 3, H, W)``.
        input_layout: of what it reads.
        auxiliary: runs on a stream of its own, which is forked from the caller's and joined again by events, as
            TensorRT does by itself (developer guide, "Within-Inference Multi-Streaming").
    """

    def __init__(
        self,
        graph: bytes,
        input_shape: tuple[int, int, int, int],
        auxiliary: bool = False,
        input_layout: InputLayout = "float32",
    ) -> None:
        self.graph, self.input_layout = graph, input_layout
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.input_shape = input_shape
        self.output_shape = self._infer(np.zeros(input_shape, np.float32)).shape
        self._bound: tuple[int, int] | None = None
        self._callbacks: dict[tuple[int, int, int], ctypes._FuncPointer] = {}
        self._has_run = False
        self._queued: Counter[int] = Counter()
        self._auxiliary = auxiliary
        self._own: list[ctypes.c_void_p] = []
        self.closed = 0

    def bind(self, input_address: int, output_address: int) -> None:
        if input_address % ALIGNMENT or output_address % ALIGNMENT:
            raise BackendError("the engine refuses the addresses: not aligned to 256 bytes")
        self._bound = (input_address, output_address)

    def enqueue(self, stream: int) -> None:
        assert self._bound is not None
        if not self._has_run:
            self._first_run(stream)
        if self._pending(stream):
            raise BackendError("the engine did not start: its context is at work on another stream")
        capturing = ctypes.c_int()
        self._call("cuStreamIsCapturing", ctypes.c_void_p(stream), ctypes.byref(capturing))
        where = self._fork(stream) if self._auxiliary else stream
        self._call(
            "cuLaunchHostFunc",
            ctypes.c_void_p(where),
            self._callback(self._bound, 0 if capturing.value else stream),
            None,
        )
        if not capturing.value:
            self._queued[stream] += 1
        if self._auxiliary:
            self._join(stream)
        self._has_run = True

    def capturable(self, stream: int) -> bool:
        return True

    def _first_run(self, stream: int) -> None:
        memory = ctypes.c_void_p()
        self._call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(256))
        self._call("cuMemFree_v2", memory)
        self._call("cuStreamSynchronize", ctypes.c_void_p(stream))
        if self._auxiliary:
            self._own = [ctypes.c_void_p() for _ in range(3)]  # a stream, and the events of fork and join
            self._call("cuStreamCreate", ctypes.byref(self._own[0]), 1)
            for event in self._own[1:]:
                self._call("cuEventCreate", ctypes.byref(event), 2)

    def _pending(self, stream: int) -> bool:
        """Whether work that was queued plainly on another stream has not run yet."""
        return any(count for other, count in self._queued.items() if other != stream)

    def _fork(self, stream: int) -> int:
        own, fork, _ = self._own
        self._call("cuEventRecord", fork, ctypes.c_void_p(stream))
        self._call("cuStreamWaitEvent", own, fork, 0)
        return own.value or 0

    def _join(self, stream: int) -> None:
        own, _, join = self._own
        self._call("cuEventRecord", join, own)
        self._call("cuStreamWaitEvent", ctypes.c_void_p(stream), join, 0)

    def _call(self, name: str, *arguments: object) -> None:
        if status := getattr(_library, name)(*arguments):
            raise BackendError(f"the engine did not start: {name} failed with {status}")

    def close(self) -> None:
        """The stream and the events of an engine with auxiliary streams go with it."""
        self.closed += 1
        self._queued.clear()
        self._has_run = False

    def _callback(self, addresses: tuple[int, int], stream: int) -> ctypes._FuncPointer:
        """What runs when its turn comes: counted for a stream, or in a graph (0)."""
        key = (*addresses, stream)
        if key not in self._callbacks:  # kept for good: a graph holds its address
            self._callbacks[key] = _HOST_FUNCTION(lambda _: self._run(*addresses, stream))
        return self._callbacks[key]

    def _run(self, input_address: int, output_address: int, stream: int) -> None:
        if stream:
            self._queued[stream] -= 1
        output = _memory(output_address, 4 * int(np.prod(self.output_shape)))
        output = output.view(np.float32).reshape(self.output_shape)
        batch = _memory(input_address, input_bytes(self.input_shape, self.input_layout))
        if self.input_layout == "float16x4":
            assert not batch.view(np.float16)[3::4].any(), "the fourth value of a pixel is not zero"
        output[...] = self._infer(input_view(batch, self.input_shape, self.input_layout).astype(np.float32))

    def _infer(self, batch: np.ndarray) -> np.ndarray:
        return self._session.run(None, {self._session.get_inputs()[0].name: batch})[0]


def _memory(address: int, size: int) -> np.ndarray:
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
