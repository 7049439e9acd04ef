"""TensorRT and a GPU played by ONNX Runtime and plain memory: enough to run the back end from end to end.

What is queued runs only when the stream is synchronised, new memory is 0xFF bytes (NaN), and addresses are real ones,
so a missing copy, wait or binding gives wrong scores.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from edgeirf.errors import BackendError
from edgeirf.runtime.executors.tensorrt import TensorRTNetwork
from edgeirf.runtime.tensorrt.builder import BuiltEngine, EngineSpec
from edgeirf.runtime.tensorrt.device import Gpu
from edgeirf.runtime.tensorrt.engine import TensorRTEngine
from edgeirf.runtime.tensorrt.library import Library
from edgeirf.runtime.tensorrt.precision_report import FusionReport

PLAN = b"stand-in plan "


class HostDevice:
    """A :class:`edgeirf.runtime.tensorrt.device.Device` whose memory is the host's."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self.cuda = 12
        self.stream = 7
        self.queue: list[Callable[[], None]] = []
        self.blocks: list[Any] = []
        self.depth = 0
        self.closed = False

    @contextmanager
    def active(self) -> Iterator[None]:
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def allocate(self, size: int) -> int:
        self.blocks.append(ctypes.create_string_buffer(b"\xff" * (size + 256), size + 256))
        return -(-ctypes.addressof(self.blocks[-1]) // 256) * 256

    def host(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return np.full(shape, np.nan, np.float32)

    def upload(self, address: int, array: NDArray[np.float32]) -> None:
        assert self.depth
        self.queue.append(lambda: ctypes.memmove(address, array.ctypes.data, array.nbytes))

    def download(self, array: NDArray[np.float32], address: int) -> None:
        assert self.depth
        self.queue.append(lambda: ctypes.memmove(array.ctypes.data, address, array.nbytes))

    def synchronise(self) -> None:
        for work in self.queue:
            work()
        self.queue.clear()

    def close(self) -> None:
        self.blocks.clear()
        self.closed = True


@dataclass
class StandIn:
    """The TensorRT that is played, and what is to go wrong with it.

    Attributes:
        device: where its engines run.
        version: an engine of another version is not taken.
        gain: precision to a factor on the output: an engine that computes something else.
        unbuildable: precisions it cannot build.
        refuses: what fails as in the real bindings: ``Runtime`` raises pybind11's TypeError, ``deserialize`` and
            ``context`` give None, ``enqueue`` gives False.
        builds: precisions built so far.
        times: precision to the milliseconds of a run.
        timed: precisions timed so far.
    """

    device: HostDevice
    version: str = "10.7.0"
    flavour: Any = "tensorrt"
    gain: dict[str, float] = field(default_factory=dict)
    unbuildable: set[str] = field(default_factory=set)
    refuses: str = ""
    builds: list[str] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=lambda: {"int8": 1.0, "fp16": 2.0, "fp32": 4.0})
    timed: list[str] = field(default_factory=list)
    logger: Any = None

    def library(self) -> Library:
        self.logger = _Logger()
        return Library(_Module(self), self.flavour, self.version, self.logger)

    def time(self, engine: TensorRTEngine) -> float:
        precision = engine._engine.precision
        self.timed.append(precision)
        return self.times[precision]

    def build(self, library: Library, graph: bytes, spec: EngineSpec, *, timing: bytes, progress: Any) -> BuiltEngine:
        """In place of the builder: the graph says in its name which precision it is."""
        assert self.device.depth
        precision, onnx = (graph[2:6].strip(), graph[6:]) if graph[:2] == b"\x12\x04" else (b"fp32", graph)
        if precision.decode() in self.unbuildable:
            raise BackendError(f"{library.label} cannot build the engine: no kernel")
        self.builds.append(precision.decode())
        progress(1.0, "Building engine")
        plan = PLAN + library.version.encode() + b"|" + precision + b"|" + onnx
        return BuiltEngine(plan, b"timing", FusionReport(library.flavour, library.version, spec.targets, ()), 60.0)


class _Logger:
    errors: list[str]
    warnings: list[str]

    def start(self) -> None:
        self.errors, self.warnings = [], []


class _Module:
    """``import tensorrt``, as far as an engine needs it."""

    def __init__(self, stand_in: StandIn) -> None:
        self.DataType = type("DataType", (), {"FLOAT": "float32", "HALF": "float16"})
        self.TensorFormat = type("TensorFormat", (), {"LINEAR": "linear", "CHW4": "chw4"})
        self.DynamicShapesKernelSpecializationStrategy = type("Strategy", (), {"EAGER": "eager"})
        self.Runtime = lambda logger: _Runtime(stand_in, logger)


class _Runtime:
    def __init__(self, stand_in: StandIn, logger: Any) -> None:
        if stand_in.refuses == "Runtime":  # NVIDIA/TensorRT issues 2913 and 308
            logger.warnings.append("CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self.stand_in, self.logger = stand_in, logger

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        if self.stand_in.refuses == "deserialize":
            self.logger.errors.append("Error Code 1: Cuda Runtime (out of memory)")
            return None
        version, precision, onnx = plan.removeprefix(PLAN).split(b"|", 2)
        if not plan.startswith(PLAN) or version.decode() != self.stand_in.version:
            self.logger.errors.append("Error Code 6: The engine plan file is not compatible with this version")
            return None
        return _Engine(self.stand_in, precision.decode(), onnx)


class _Engine:
    num_io_tensors = 2

    def __init__(self, stand_in: StandIn, precision: str, onnx: bytes) -> None:
        self.session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        self.stand_in, self.precision, self.gain = stand_in, precision, stand_in.gain.get(precision, 1.0)

    def get_tensor_name(self, index: int) -> str:
        return ("image", "field")[index]

    def get_tensor_dtype(self, name: str) -> str:
        return "float32"

    def get_tensor_format(self, name: str) -> str:
        return "linear"

    def create_execution_context(self, config: Any = None) -> _Context | None:
        if self.stand_in.refuses == "context":
            self.stand_in.logger.errors.append("Error Code 2: OutOfMemory (Requested size was 8388608 bytes.)")
            return None
        return _Context(self)

    def create_runtime_config(self) -> Any:
        cache = type("Cache", (), {"deserialize": lambda self, data: True, "serialize": lambda self: b"kernels"})()
        return type(
            "Config", (), {"create_runtime_cache": lambda self: cache, "set_runtime_cache": lambda self, c: True}
        )()


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self.engine, self.addresses = engine, dict[str, int]()

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        probe = self.engine.session.run(None, {"image": np.zeros(self.shape, np.float32)})[0]
        return tuple(probe.shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        if address % 256 and address:  # IExecutionContext::setTensorAddress: "at least 256-byte aligned"
            self.engine.stand_in.logger.errors.append("Error Code 3: API Usage Error (tensor address is not aligned)")
            return False
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        device = self.engine.stand_in.device
        assert device.depth
        assert stream == device.stream
        if self.engine.stand_in.refuses == "enqueue":
            return False
        device.queue.append(self._run)
        return True

    def _run(self) -> None:
        size = int(np.prod(self.shape))
        image = np.ctypeslib.as_array((ctypes.c_float * size).from_address(self.addresses["image"]))
        out = self.engine.session.run(None, {"image": image.reshape(self.shape)})[0] * np.float32(self.engine.gain)
        ctypes.memmove(self.addresses["field"], np.ascontiguousarray(out).ctypes.data, out.nbytes)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """TensorRT 10.7 on an Orin, in place of the real ones."""
    from edgeirf.runtime.tensorrt import provide

    played = StandIn(HostDevice(Gpu("Orin", (8, 7))))
    monkeypatch.setattr(TensorRTNetwork, "milliseconds", lambda network: played.time(network.engine))
    monkeypatch.setattr(provide, "build", played.build)
    return played
