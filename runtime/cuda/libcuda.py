"""The driver calls that pycuda lacks, by ctypes: capture, executable graphs, contexts, registered memory.

Handles are plain integers, as in pycuda.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from edgeirf.runtime.cuda.errors import CudaError

OUT_OF_MEMORY = 2
SCHED_AUTO, SCHED_SPIN, SCHED_MASK = 0, 1, 7  # CU_CTX_SCHED_...
REGISTER_MAPPED = 2  # CU_MEMHOSTREGISTER_DEVICEMAP
CAPTURE_THREAD_LOCAL = 1  # other threads of the host program may go on allocating while a graph is captured

_POINTER, _HANDLE = ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p
_PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "cuStreamBeginCapture_v2": (_HANDLE, ctypes.c_int),
    "cuStreamEndCapture": (_HANDLE, _POINTER),
    "cuGraphInstantiateWithFlags": (_POINTER, _HANDLE, ctypes.c_ulonglong),
    "cuGraphLaunch": (_HANDLE, _HANDLE),
    "cuGraphUpload": (_HANDLE, _HANDLE),
    "cuGraphExecDestroy": (_HANDLE,),
    "cuGraphGetNodes": (_HANDLE, _POINTER, ctypes.POINTER(ctypes.c_size_t)),
    "cuGraphDestroy": (_HANDLE,),
    "cuDeviceGet": (ctypes.POINTER(ctypes.c_int), ctypes.c_int),
    "cuDevicePrimaryCtxGetState": (ctypes.c_int, ctypes.POINTER(ctypes.c_uint), ctypes.POINTER(ctypes.c_int)),
    "cuDevicePrimaryCtxSetFlags_v2": (ctypes.c_int, ctypes.c_uint),
    "cuCtxGetCurrent": (_POINTER,),
    "cuCtxPopCurrent_v2": (_POINTER,),
    "cuCtxPushCurrent_v2": (_HANDLE,),
    "cuMemHostRegister_v2": (_HANDLE, ctypes.c_size_t, ctypes.c_uint),
    "cuMemHostUnregister": (_HANDLE,),
    "cuMemHostGetDevicePointer_v2": (_POINTER, _HANDLE, ctypes.c_uint),
    "cuGetErrorString": (ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)),
}


@cache
def library() -> ctypes.CDLL:
    """libcuda, the one that pycuda has loaded too."""
    loaded = ctypes.CDLL("libcuda.so.1")
    for name, arguments in _PROTOTYPES.items():
        function = getattr(loaded, name)
        function.argtypes, function.restype = arguments, ctypes.c_int
    return loaded


def driver_cuda() -> int | None:
    """Major CUDA version of the driver, asked without a context and without pycuda; None where there is no driver."""
    version = ctypes.c_int()
    try:
        status = ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return None if status else version.value // 1000


def call(name: str, *arguments: Any) -> None:
    """Calls the driver.

    Raises:
        CudaError: it answered anything but success.
    """
    status = getattr(library(), name)(*arguments)
    if status:
        raise CudaError(name, _text(status), status == OUT_OF_MEMORY)


def new_handle(name: str, *arguments: Any, last: bool = False) -> int:
    """Calls a function that returns a handle through its first argument, or its ``last`` one; returns the handle.

    Raises:
        CudaError: as :func:`call`.
    """
    handle = ctypes.c_void_p()
    out = ctypes.byref(handle)
    call(name, *((*arguments, out) if last else (out, *arguments)))
    return handle.value or 0


def _text(status: int) -> str:
    text = ctypes.c_char_p()
    library().cuGetErrorString(status, ctypes.byref(text))
    return (text.value or b"error %d" % status).decode()
