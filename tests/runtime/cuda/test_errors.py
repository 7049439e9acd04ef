"""What the driver says becomes one line."""

from __future__ import annotations

import pytest

from edgeirf.errors import BackendError
from edgeirf.runtime.cuda.errors import CudaError, GpuLostError, GpuOutOfMemoryError, reported, translate


@pytest.mark.parametrize(
    ("text", "memory", "kind", "said"),
    [
        ("out of memory", True, GpuOutOfMemoryError, "ran out of memory while testing"),
        ("an illegal memory access was encountered", False, GpuLostError, "faulted while testing"),
        ("unspecified launch failure", False, GpuLostError, "faulted while testing"),
        ("unknown error", False, GpuLostError, "stopped answering while testing"),
        ("uncorrectable ECC error encountered", False, GpuLostError, "stopped answering"),
        ("invalid argument", False, BackendError, "refused while testing"),
    ],
)
def test_error_texts(text: str, memory: bool, kind: type[BackendError], said: str) -> None:
    error = translate(CudaError("cuSomething", text, memory), "testing")
    assert type(error) is kind
    assert said in str(error)
    assert f"(cuSomething failed: {text})" in str(error)


def test_only_errors_of_the_driver_are_translated() -> None:
    with pytest.raises(GpuOutOfMemoryError), reported("testing"):
        raise CudaError("cuMemAlloc", "out of memory", True)
    with pytest.raises(BackendError, match="as it is"), reported("testing"):
        raise BackendError("as it is")
    with pytest.raises(ZeroDivisionError), reported("testing"):
        1 / 0  # noqa: B018
