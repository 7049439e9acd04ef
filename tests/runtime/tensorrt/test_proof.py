from __future__ import annotations

import pytest

from edgeirf.errors import BackendError
from edgeirf.runtime.cuda import libcuda
from edgeirf.runtime.tensorrt import proof
from edgeirf.runtime.tensorrt.library import Library


def test_without_a_driver_an_engine_is_built(rtx: Library) -> None:
    proof.prove(rtx, None)


def test_a_tensorrt_for_a_later_cuda_is_refused(rtx: Library) -> None:
    assert rtx.cuda == 13
    with pytest.raises(BackendError, match="is built for CUDA 13, the driver is of CUDA 12"):
        proof.prove(rtx, 12)


@pytest.mark.skipif(libcuda.driver_cuda() is not None, reason="there is a driver, so the engine loads")
def test_an_engine_that_does_not_load_is_one_line(rtx: Library) -> None:
    with pytest.raises(BackendError, match=r"cannot load an engine: .*CUDA driver version is insufficient"):
        proof.prove(rtx, 13)
