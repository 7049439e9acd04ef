"""Every error of the driver becomes one line: what failed, why, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgeirf.errors import BackendError

# The driver's own texts (cuGetErrorString) of errors after which a context answers nothing else any more.
_FAULTS = ("illegal", "launch failure", "launch timed out", "misaligned", "assert", "instruction", "stack error")
_LOSSES = ("unknown error", "ecc", "uncorrectable", "unavailable", "no longer", "hardware", "destroyed", "device lost")


class CudaError(Exception):
    """A driver call that this package makes itself failed.

    Attributes:
        memory: the device or the page-locked memory is used up.
    """

    def __init__(self, call: str, text: str, memory: bool) -> None:
        super().__init__(f"{call} failed: {text}")
        self.memory = memory


class GpuOutOfMemoryError(BackendError):
    """There is not enough memory on the GPU; the context is whole."""


class GpuLostError(BackendError):
    """The context cannot be used again: a kernel faulted, or the GPU was reset or lost."""


@contextmanager
def reported(doing: str) -> Iterator[None]:
    """Turns errors of pycuda and of :class:`CudaError` into one :class:`BackendError`.

    Args:
        doing: what was being done, for the message: ``"inspecting a frame"``.

    Raises:
        GpuOutOfMemoryError: not enough memory.
        GpuLostError: the context is lost.
        BackendError: anything else the driver refused.
    """
    try:
        yield
    except BackendError:
        raise
    except Exception as error:
        if not isinstance(error, CudaError) and not _is_pycuda(error):
            raise
        raise translate(error, doing) from None


def translate(error: Exception, doing: str) -> BackendError:
    """The error to raise for an error of the driver's."""
    text = " ".join(str(error).split())
    kind = type(error).__name__
    if getattr(error, "memory", False) or kind == "MemoryError":
        return GpuOutOfMemoryError(
            f"the GPU ran out of memory while {doing} ({text}): end other programs that use it, or choose a smaller "
            "precision or input size"
        )
    if kind == "LaunchError" or any(word in text.lower() for word in _FAULTS):
        return GpuLostError(
            f"a program on the GPU faulted while {doing} ({text}): load the model again, and report it if it comes back"
        )
    if any(word in text.lower() for word in _LOSSES):
        return GpuLostError(
            f"the GPU stopped answering while {doing} ({text}): load the model again; if that fails restart the "
            "computer, and look for Xid lines in `dmesg`"
        )
    return BackendError(f"the GPU refused while {doing} ({text}): run `edgeirf doctor`")


def _is_pycuda(error: Exception) -> bool:
    return type(error).__module__.startswith("pycuda.")
