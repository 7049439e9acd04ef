"""A CUDA graph: a frame's whole work captured once from a stream, then launched with one call."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from edgeirf.runtime.cuda import libcuda
from edgeirf.runtime.cuda.errors import CudaError


class CudaGraph:
    """What ``record`` queues on ``stream``, as an executable graph. The context must be current for every method.

    Nothing is executed while it is recorded; what is recorded must neither allocate nor wait. TensorRT must have run
    once, outside of a capture, before it is recorded.

    Attributes:
        nodes: copies, kernels and events in it; the engine's layers among them.

    Raises:
        CudaError: the driver refused, or ``record`` did something that cannot be captured.
    """

    def __init__(self, stream: Any, record: Callable[[], None]) -> None:
        handle = int(stream.handle)
        with _no_collection():
            graph = _capture(handle, record)
        self.nodes = _nodes(graph)
        try:
            self._exec = libcuda.new_handle("cuGraphInstantiateWithFlags", graph, 0)
        finally:
            with suppress(CudaError):
                libcuda.call("cuGraphDestroy", graph)
        with suppress(CudaError):  # only saves the first launch some time
            libcuda.call("cuGraphUpload", self._exec, handle)

    def launch(self, stream: Any) -> None:
        """Queues the graph on a stream."""
        libcuda.call("cuGraphLaunch", self._exec, int(stream.handle))

    def free(self) -> None:
        """Destroys it."""
        libcuda.call("cuGraphExecDestroy", self._exec)


def _nodes(graph: int) -> int:
    count = ctypes.c_size_t()
    with suppress(CudaError):  # a figure for people
        libcuda.call("cuGraphGetNodes", graph, None, ctypes.byref(count))
    return count.value


@contextmanager
def _no_collection() -> Iterator[None]:
    """Freeing GPU memory spoils a capture, and the collector may find some of the host program's to free."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _capture(stream: int, record: Callable[[], None]) -> int:
    libcuda.call("cuStreamBeginCapture_v2", stream, libcuda.CAPTURE_THREAD_LOCAL)
    try:
        record()
    except BaseException:
        # Ends the capture, so that the stream can be used again; what was recorded of it is thrown away.
        with suppress(CudaError):
            graph = libcuda.new_handle("cuStreamEndCapture", stream, last=True)
            if graph:
                libcuda.call("cuGraphDestroy", graph)
        raise
    return libcuda.new_handle("cuStreamEndCapture", stream, last=True)
