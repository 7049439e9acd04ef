"""The TensorRT network's own memory and stream on the real pycuda: any thread may run it, nothing is left behind."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor

import driver_control
import numpy as np
import pytest
from ort_engine import OrtEngine

from edgeirf.errors import BackendError
from edgeirf.runtime.cuda.errors import GpuOutOfMemoryError
from edgeirf.runtime.executors.cuda_device import CudaDevice
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.executors.tensorrt import TensorRTNetwork
from edgeirf.runtime.kernels.network_input import LAYOUTS, InputLayout

SHAPE = (2, 3, 64, 64)


@pytest.fixture(scope="module")
def engine(tiny_onnx: bytes) -> OrtEngine:
    return OrtEngine(tiny_onnx, SHAPE)


@pytest.mark.parametrize("order", ["lazy", "eager", "random"])
def test_batches_go_up_and_fields_come_down(tiny_onnx: bytes, engine: OrtEngine, order: str) -> None:
    driver_control.schedule(order)
    network, reference = TensorRTNetwork(engine, CudaDevice()), OnnxRuntimeNetwork(tiny_onnx, threads=1)
    batches = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype(np.float32)
    fields = [network.run(batch) for batch in batches]
    with ThreadPoolExecutor(1) as other:  # the pipeline inspects in a thread of its own
        fields.append(other.submit(network.run, batches[0]).result())
    for batch, field in zip([*batches, batches[0]], fields, strict=True):
        np.testing.assert_array_equal(field, reference.run(batch))
    network.close()
    assert driver_control.live() == {}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_engine_reads_the_batch_in_its_own_layout(tiny_onnx: bytes, layout: InputLayout) -> None:
    network = TensorRTNetwork(OrtEngine(tiny_onnx, SHAPE, input_layout=layout), CudaDevice())
    reference = OnnxRuntimeNetwork(tiny_onnx, threads=1)
    for batch in np.random.default_rng(1).normal(size=(2, *SHAPE)).astype(np.float32):
        rounded = batch if layout == "float32" else batch.astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(network.run(batch), reference.run(rounded))
    network.close()


def test_nothing_is_allocated_for_a_frame(engine: OrtEngine) -> None:
    network = TensorRTNetwork(engine, CudaDevice())
    network.run(np.zeros(SHAPE, np.float32))  # the engine itself allocates in its first run
    kinds = ("device_allocations", "pinned_allocations")
    before = [driver_control.count(kind) for kind in kinds]
    for _ in range(5):
        network.run(np.zeros(SHAPE, np.float32))
    assert [driver_control.count(kind) for kind in kinds] == before
    network.close()


def test_a_gpu_that_fails_is_one_line(engine: OrtEngine) -> None:
    network = TensorRTNetwork(engine, CudaDevice())
    driver_control.fail("cuMemcpyHtoDAsync", 1, 400)
    with pytest.raises(BackendError, match="the GPU refused while running the network"):
        network.run(np.zeros(SHAPE, np.float32))
    network.close()
    assert driver_control.live() == {}


def test_too_little_memory(engine: OrtEngine) -> None:
    device = CudaDevice()
    driver_control.fail("cuMemAlloc", 1, driver_control.OUT_OF_MEMORY, times=100)
    with pytest.raises(GpuOutOfMemoryError):
        TensorRTNetwork(engine, device)
    driver_control.reset()
    device.close()
    assert driver_control.live() == {}


@pytest.mark.parametrize("off", [(64, 0), (0, 128), (4, 4)])
def test_addresses_are_aligned_to_256_bytes(engine: OrtEngine, off: tuple[int, int]) -> None:
    """What the driver allocates is; the middle of a buffer need not be."""
    device = CudaDevice()
    with device.active():
        start, end = device.allocate(4096), device.allocate(4096)
    engine.bind(start, end)
    with pytest.raises(BackendError, match="not aligned to 256 bytes"):
        engine.bind(start + off[0], end + off[1])
    device.close()


def test_the_first_run_is_no_graph(tiny_onnx: bytes) -> None:
    """It allocates and waits, which spoils a capture; after a plain run the same call can be captured."""
    engine, device = OrtEngine(tiny_onnx, SHAPE), CudaDevice()
    library, graph, stream = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p(), ctypes.c_void_p(device.stream)
    with device.active():
        engine.bind(device.allocate(4 * int(np.prod(SHAPE))), device.allocate(4 * int(np.prod(engine.output_shape))))
        assert library.cuStreamBeginCapture_v2(stream, 1) == 0
        with pytest.raises(BackendError, match="cuMemAlloc_v2 failed with 900"):
            engine.enqueue(device.stream)
        assert library.cuStreamEndCapture(stream, ctypes.byref(graph)) == 901
        engine.enqueue(device.stream)
        device.synchronise()
        assert library.cuStreamBeginCapture_v2(stream, 1) == 0
        engine.enqueue(device.stream)
        assert library.cuStreamEndCapture(stream, ctypes.byref(graph)) == 0
        library.cuGraphDestroy(graph)
    device.close()
