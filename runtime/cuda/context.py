"""The GPU and its primary context: the one that TensorRT, torch and the CUDA runtime of the same process use too."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from edgeirf.errors import BackendError
from edgeirf.runtime.cuda import libcuda
from edgeirf.runtime.cuda.errors import CudaError, reported

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING


class CudaContext:
    """Holds the primary context of one GPU. The host program's own current context is left as it was.

    Attributes:
        driver: the module ``pycuda.driver``.
        name: of the GPU.
        capability: compute capability, ``(8, 7)`` for Orin.
        cuda: major CUDA version of the driver.
        multiprocessors: of the GPU.
        integrated: the GPU shares the host's memory (Jetson), so that nothing needs to be copied to it.

    Args:
        ordinal: which GPU, among those ``CUDA_VISIBLE_DEVICES`` shows.

    Raises:
        BackendError: pycuda or the driver is missing, or there is no such GPU.
    """

    def __init__(self, ordinal: int = 0) -> None:
        self.driver = load_driver()
        with reported("opening it"):
            device = self.driver.Device(ordinal)
            self.name: str = device.name()
            self.capability: tuple[int, int] = device.compute_capability()
            self.integrated = bool(device.get_attribute(self.driver.device_attribute.INTEGRATED))
            self.multiprocessors = int(device.get_attribute(self.driver.device_attribute.MULTIPROCESSOR_COUNT))
            self.cuda = int(self.driver.get_driver_version()) // 1000
            self._context = device.retain_primary_context()
        self._closed = False

    @property
    def arch(self) -> str:
        """``sm_87``."""
        return f"sm_{self.capability[0]}{self.capability[1]}"

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes the context current in the calling thread, and the former one again afterwards."""
        with reported("making it current"):
            self._context.push()
        try:
            yield
        finally:
            with reported("leaving it"):
                self.driver.Context.pop()

    def new_stream(self) -> Any:
        """A stream that the legacy default stream knows nothing of.

        While a graph is captured from a stream that does, the driver refuses every plain copy of every other thread in
        the context (error 906), be it of torch or of a second detector.
        """
        return self.driver.Stream(_NON_BLOCKING)

    def close(self) -> None:
        """Releases the context, from any thread. The driver destroys it when nothing else in the process holds it."""
        if self._closed:
            return
        self._closed = True
        handle = int(self._context.handle)
        for _ in range(2):  # any call may answer with an earlier error, once; a lost GPU refuses for good
            with suppress(self.driver.Error, CudaError):
                # pycuda releases a primary context in the thread that retained it, or where it is on top of the stack.
                self._context.push()
                self._context.detach()
                _forget(handle)
                return


def _forget(handle: int) -> None:
    """Takes a released context off the thread's stack: pycuda leaves it there, below its own former context if any."""
    if libcuda.new_handle("cuCtxGetCurrent") == handle:
        libcuda.new_handle("cuCtxPopCurrent_v2")
        return
    former = libcuda.new_handle("cuCtxPopCurrent_v2")
    libcuda.new_handle("cuCtxPopCurrent_v2")
    libcuda.call("cuCtxPushCurrent_v2", former)


def set_waiting(spin: bool, ordinal: int = 0) -> None:
    """Sets how threads of this process wait for the GPU.

    The driver's own choice spins on a PC with cores to spare, and may sleep on a Jetson (``CU_CTX_SCHED_AUTO``). It is
    the primary context's, so it holds for the host program's waits, too.

    Args:
        spin: keep the core, so that nobody must wake the thread; else leave it to the driver.
        ordinal: which GPU.

    Raises:
        BackendError: there is no GPU, or the driver refuses, as older ones do while the context is in use.
    """
    load_driver()
    device, flags, active = ctypes.c_int(), ctypes.c_uint(), ctypes.c_int()
    with reported("setting how to wait for it"):
        libcuda.call("cuDeviceGet", ctypes.byref(device), ordinal)
        libcuda.call("cuDevicePrimaryCtxGetState", device, ctypes.byref(flags), ctypes.byref(active))
        wanted = libcuda.SCHED_SPIN if spin else libcuda.SCHED_AUTO
        libcuda.call("cuDevicePrimaryCtxSetFlags_v2", device, flags.value & ~libcuda.SCHED_MASK | wanted)


def load_driver() -> Any:
    """``pycuda.driver``, initialised, with at least one GPU.

    Raises:
        BackendError: pycuda, the NVIDIA driver or the GPU is missing; the message says which and what to do.
    """
    try:
        import pycuda.driver as driver
    except ImportError as error:
        if "libcuda" in str(error):
            raise BackendError("there is no NVIDIA driver (libcuda.so.1 is missing): install it") from None
        raise BackendError("pycuda is not installed: pip install pycuda (needs the CUDA toolkit)") from None
    try:
        driver.init()
        count = driver.Device.count()
    except driver.Error as error:
        raise BackendError(f"the NVIDIA driver does not work ({error}): run `edgeirf doctor`") from None
    if count == 0:
        raise BackendError("the NVIDIA driver sees no GPU: look at CUDA_VISIBLE_DEVICES and `nvidia-smi`")
    return driver
