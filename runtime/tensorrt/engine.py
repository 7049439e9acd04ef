"""A loaded engine: fixed shapes, explicit addresses, one execution context."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from edgeirf.errors import BackendError
from edgeirf.runtime.kernels import InputLayout
from edgeirf.runtime.tensorrt.builder import OUTPUT, EngineSpec
from edgeirf.runtime.tensorrt.half_input import INPUT
from edgeirf.runtime.tensorrt.library import Library, first_error

if TYPE_CHECKING:
    import tensorrt as trt


class TensorRTEngine:
    """An engine on the GPU that is current in the calling thread.

    The caller owns the memory and the stream: bind two device addresses once, then enqueue for every frame. Not
    verified on a GPU: the tests run it against a stand-in of TensorRT.

    Args:
        library: the TensorRT that built the plan.
        plan: what :func:`edgeirf.runtime.tensorrt.builder.build` gave, or the engine cache.
        spec: what it was built for.
        kernels: what :meth:`kernels` gave when the engine ran before.

    Attributes:
        input_shape: ``(T, 3, H, W)``.
        input_layout: how these values lie in memory.
        output_shape: ``(T, C, h, w)``, float32.
        fingerprint: SHA-256 of the plan, 64 hexadecimal digits.

    Raises:
        BackendError: TensorRT does not take the plan, or it maps other tensors than the ones promised.
    """

    def __init__(self, library: Library, plan: bytes, spec: EngineSpec, kernels: bytes = b"") -> None:
        self._library = library
        self.fingerprint = hashlib.sha256(plan).hexdigest()
        library.logger.start()
        runtime: trt.Runtime = library.create("start its runtime", lambda: library.trt.Runtime(library.logger))
        engine: trt.ICudaEngine = library.create("load the engine", lambda: runtime.deserialize_cuda_engine(plan))
        self._runtime: Any = runtime  # the engine needs it as long as it lives
        self._engine: Any = engine
        self._kernels: Any = None
        self.input_layout = self._check_tensors(engine)
        context: trt.IExecutionContext = library.create("run the engine", lambda: self._create_context(engine, kernels))
        if not context.set_input_shape(INPUT, spec.shape):
            raise library.failure("run the engine")
        self._context: Any = context
        self.input_shape = spec.shape
        self.output_shape = tuple(int(side) for side in context.get_tensor_shape(OUTPUT))

    def bind(self, input_address: int, output_address: int) -> None:
        """Sets the device addresses of the input and the output; both stay bound until bound again.

        Raises:
            BackendError: TensorRT refuses an address.
        """
        context: trt.IExecutionContext = self._context
        if not (
            context.set_tensor_address(INPUT, input_address) and context.set_tensor_address(OUTPUT, output_address)
        ):
            raise BackendError(f"{self._library.label} refuses the addresses: {first_error(self._library.logger)}")

    def enqueue(self, stream: int) -> None:
        """Queues one run on the CUDA stream with this handle; it may be captured in a CUDA graph after one plain run.

        Raises:
            BackendError: TensorRT did not start it.
        """
        context: trt.IExecutionContext = self._context
        if not context.execute_async_v3(stream):
            raise BackendError(f"{self._library.label} failed: {first_error(self._library.logger)}")

    def capturable(self, stream: int) -> bool:
        """Whether a run on this stream can be captured in a CUDA graph; TensorRT itself can, RTX is asked."""
        context: trt.IExecutionContext = self._context
        return bool(context.is_stream_capturable(stream)) if hasattr(context, "is_stream_capturable") else True

    def kernels(self) -> bytes:
        """What TensorRT-RTX compiled for this GPU in the first run, to spare the next process the wait.

        Empty for TensorRT, whose engines hold finished kernels.
        """
        if self._kernels is None:
            return b""
        cache: trt.IRuntimeCache = self._kernels
        return bytes(memoryview(cache.serialize()))

    def close(self) -> None:
        """Frees context, engine and runtime, in that order; the device must be current. May be called twice."""
        self._context = self._kernels = self._engine = self._runtime = None

    def _create_context(self, engine: trt.ICudaEngine, kernels: bytes) -> trt.IExecutionContext | None:
        if self._library.flavour != "tensorrt_rtx":
            return engine.create_execution_context()
        config: trt.IRuntimeConfig = engine.create_runtime_config()
        # Kernels that are compiled in the background later would come too late for a captured graph.
        config.dynamic_shapes_kernel_specialization_strategy = (
            self._library.trt.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        cache: trt.IRuntimeCache = config.create_runtime_cache()
        if kernels:
            cache.deserialize(kernels)  # False when they do not fit: they are then compiled again
        config.set_runtime_cache(cache)
        self._kernels = cache
        return engine.create_execution_context(config)

    def _check_tensors(self, engine: trt.ICudaEngine) -> InputLayout:
        """The input's layout; raises BackendError where it is none that the pre-processing kernel writes."""
        types, formats = self._library.trt.DataType, self._library.trt.TensorFormat
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        layouts: dict[tuple[object, object], InputLayout] = {
            (types.FLOAT, formats.LINEAR): "float32",
            (types.HALF, formats.LINEAR): "float16",
            (types.HALF, formats.CHW4): "float16x4",
        }
        if sorted(names) == sorted((INPUT, OUTPUT)) and engine.get_tensor_dtype(OUTPUT) == types.FLOAT:
            layout = layouts.get((engine.get_tensor_dtype(INPUT), engine.get_tensor_format(INPUT)))
            if layout is not None:
                return layout
        kinds = ", ".join(f"{n} ({engine.get_tensor_dtype(n)}, {engine.get_tensor_format(n)})" for n in names)
        raise BackendError(f"the engine has the tensors {kinds}, not {INPUT} and {OUTPUT} as they were built")
