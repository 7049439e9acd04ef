"""ONNX to engine: the one builder for TensorRT 10.3 to 11.x and TensorRT-RTX.

Networks are strongly typed: the precision of every layer is in the ONNX file (FP16 tensors, quantise/dequantise pairs),
so nothing here chooses one.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeirf.errors import BackendError, UsageError
from edgeirf.runtime.tensorrt.half_input import INPUT, half_input
from edgeirf.runtime.tensorrt.library import Library, first_error
from edgeirf.runtime.tensorrt.precision_report import FusionReport, match_products, node_name, parse_layers
from edgeirf.runtime.tensorrt.progress import BuildProgress, Progress, interrupt_deferred, make_monitor

if TYPE_CHECKING:
    import tensorrt as trt

REVISION = 3
"""Of the settings below. Part of an engine's key: raise it with every change that makes another engine."""
OUTPUT = "field"
"""Name of the graph's one output, ``(N, C, h, w)`` float32."""

log = logging.getLogger("edgeirf")


@dataclass(frozen=True)
class EngineSpec:
    """What is fixed when an engine is built.

    Attributes:
        batch: images at once, the number of tiles of the bundle.
        size: ``(height, width)`` of the input, pixels.
        targets: ``SM86`` ...: GPUs to build for (TensorRT-RTX only); empty for the GPU at hand.
    """

    batch: int
    size: tuple[int, int]
    targets: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(batch, 3, height, width)``."""
        return (self.batch, 3, *self.size)


@dataclass(frozen=True)
class BuiltEngine:
    """A serialised engine.

    Attributes:
        plan: native code for one kind of GPU; to be trusted like a program.
        timing: TensorRT's timing cache after the build: the next build of a like network is quicker with it. Empty
            for TensorRT-RTX, which times nothing at build time.
        fusion: what became of each convolution and matrix product.
        seconds: what the build took.
    """

    plan: bytes
    timing: bytes
    fusion: FusionReport
    seconds: float


def build(
    library: Library, graph: bytes, spec: EngineSpec, *, timing: bytes = b"", progress: Progress | None = None
) -> BuiltEngine:
    """Builds an engine. Where the graph rounds its input to FP16 at once, the engine takes FP16, in pixels if it likes.

    Args:
        graph: the ONNX file.
        timing: a timing cache of an earlier build with the same library on the same GPU; one that does not fit is
            ignored.
        progress: called with the progress of the build. Ctrl-C ends the build at its next step.

    Raises:
        UsageError: a target this TensorRT cannot build for.
        BackendError: the graph does not parse, or TensorRT cannot build it; with TensorRT's own reason.
    """
    half = half_input(graph)
    if half is not None:
        try:
            return _build(library, half, spec, timing, progress)
        except BackendError as error:
            log.info("an FP16 input is refused: %s", error)
    return _build(library, graph, spec, timing, progress)


def _build(library: Library, graph: bytes, spec: EngineSpec, timing: bytes, progress: Progress | None) -> BuiltEngine:
    library.logger.start()
    start = time.perf_counter()
    builder: trt.Builder = library.create("start its builder", lambda: library.trt.Builder(library.logger))
    # TensorRT borrows the weights from the parser and the timings from their cache: both must outlive the build.
    network, _parser = parse(library, builder, graph)
    config: trt.IBuilderConfig = library.create("start its builder", builder.create_builder_config)
    _timings = _configure(library, config, spec, timing)
    _fix_input(library, builder, network, config, spec)
    plan = _run(library, builder, network, config, progress)
    layers = parse_layers(library.logger.layers)
    products = match_products(_products(library, network), layers)
    traffic = sum(layer.traffic for layer in layers)
    fusion = FusionReport(library.flavour, library.version, spec.targets, products, len(layers), traffic)
    return BuiltEngine(plan, _timing(library, config), fusion, time.perf_counter() - start)


def parse(library: Library, builder: trt.Builder, graph: bytes) -> tuple[trt.INetworkDefinition, trt.OnnxParser]:
    """Parses the ONNX file into a network of its own: two parsers on one network crash at exit.

    Raises:
        BackendError: an operator TensorRT does not know, or inputs and outputs other than ``image`` and ``field``.
    """
    kinds = library.trt.NetworkDefinitionCreationFlag
    # TensorRT 11 dropped the flag EXPLICIT_BATCH once nothing else was left; this one may follow.
    flags = 1 << int(kinds.STRONGLY_TYPED) if hasattr(kinds, "STRONGLY_TYPED") else 0
    network: trt.INetworkDefinition = library.create("start a network", lambda: builder.create_network(flags))
    parser: trt.OnnxParser = library.create("start its parser", lambda: library.trt.OnnxParser(network, library.logger))
    if not parser.parse(graph):
        raise BackendError(f"{library.label} cannot read the graph: {_parser_error(library, parser)}")
    inputs = [_name(network.get_input(index)) for index in range(network.num_inputs)]
    outputs = [_name(network.get_output(index)) for index in range(network.num_outputs)]
    if inputs != [INPUT] or outputs != [OUTPUT]:
        raise BackendError(f"the graph maps {inputs} to {outputs}, not {INPUT!r} to {OUTPUT!r}: export it again")
    return network, parser


def _name(tensor: trt.ITensor) -> str:
    return str(tensor.name)


def _configure(
    library: Library, config: trt.IBuilderConfig, spec: EngineSpec, timing: bytes
) -> trt.ITimingCache | None:
    config.profiling_verbosity = library.trt.ProfilingVerbosity.DETAILED
    # FP32 is what the runtime falls back to when FP16 disagrees; TF32 has no more mantissa than FP16.
    config.clear_flag(library.trt.BuilderFlag.TF32)
    # TensorRT-RTX may allocate during a run; NVIDIA's notes on 1.2 require this flag for stream capture.
    if hasattr(library.trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):
        config.set_flag(library.trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    if spec.targets:
        _set_targets(library, config, spec.targets)
    if library.flavour != "tensorrt":  # in TensorRT-RTX a timing cache does nothing
        return None
    cache = _set_timing(config, timing)
    library.logger.errors.clear()  # a timing cache that does not fit is logged as an error
    return cache


def _set_timing(config: trt.IBuilderConfig, timing: bytes) -> trt.ITimingCache | None:
    for contents in (timing, b""):
        cache: trt.ITimingCache | None = config.create_timing_cache(contents)
        if cache is not None and config.set_timing_cache(cache, False):
            return cache
    return None


def _set_targets(library: Library, config: trt.IBuilderConfig, targets: tuple[str, ...]) -> None:
    known = available_targets(library)
    unknown = [target for target in targets if target not in known]
    if not known:
        raise UsageError(f"{library.label} builds for the GPU it runs on; --target is for tensorrt-rtx")
    if unknown:
        raise UsageError(f"{library.label} cannot build for {', '.join(unknown)}, only for {', '.join(known)}")
    config.num_compute_capabilities = len(targets)
    for index, target in enumerate(targets):
        config.set_compute_capability(getattr(library.trt.ComputeCapability, target), index)


def available_targets(library: Library) -> tuple[str, ...]:
    """Compute capabilities this TensorRT can build for on another machine: ``SM75`` ...; none but for RTX."""
    kinds = getattr(library.trt, "ComputeCapability", None)
    return tuple(name for name in getattr(kinds, "__members__", ()) if name.startswith("SM"))


def _fix_input(
    library: Library,
    builder: trt.Builder,
    network: trt.INetworkDefinition,
    config: trt.IBuilderConfig,
    spec: EngineSpec,
) -> None:
    image: trt.ITensor = network.get_input(0)
    shape = tuple(image.shape)
    if len(shape) != 4 or any(side not in (-1, asked) for side, asked in zip(shape, spec.shape, strict=True)):
        raise BackendError(f"the graph takes {shape}, not {spec.shape}: export it again")
    if image.dtype == library.trt.DataType.HALF:
        # The first convolution of TensorRT-RTX reads pixels of four; of planes it makes them, in a launch of its own.
        kinds = library.trt.TensorFormat
        image.allowed_formats = 1 << int(kinds.LINEAR) | 1 << int(kinds.CHW4)
    if -1 in shape:
        profile: trt.IOptimizationProfile = builder.create_optimization_profile()
        profile.set_shape(INPUT, spec.shape, spec.shape, spec.shape)
        config.add_optimization_profile(profile)


def _run(
    library: Library,
    builder: trt.Builder,
    network: trt.INetworkDefinition,
    config: trt.IBuilderConfig,
    progress: Progress | None,
) -> bytes:
    with interrupt_deferred() as interrupted:
        watch = BuildProgress(progress or (lambda fraction, phase: None), interrupted)
        monitor = make_monitor(library.trt, watch)  # borrowed as well
        config.progress_monitor = monitor
        plan = _serialised(library, builder, network, config, watch)
    if watch.failure is not None:
        raise watch.failure
    if plan is None:
        raise library.failure("build the engine")
    return bytes(memoryview(plan))


def _serialised(
    library: Library,
    builder: trt.Builder,
    network: trt.INetworkDefinition,
    config: trt.IBuilderConfig,
    watch: BuildProgress,
) -> trt.IHostMemory | None:
    """None where the build gave up, for a reason of its own or because ``watch`` asked for it."""
    try:
        return builder.build_serialized_network(network, config)
    except Exception as error:
        if watch.failure is not None:
            return None
        raise library.failure("build the engine", error) from None


def _timing(library: Library, config: trt.IBuilderConfig) -> bytes:
    if library.flavour != "tensorrt":
        return b""
    cache: trt.ITimingCache | None = config.get_timing_cache()
    return b"" if cache is None else bytes(memoryview(cache.serialize()))


def _products(library: Library, network: trt.INetworkDefinition) -> list[tuple[str, str]]:
    kinds = library.trt.LayerType
    operations = {
        kinds.CONVOLUTION: "convolution",
        kinds.DECONVOLUTION: "convolution",
        kinds.MATRIX_MULTIPLY: "matrix product",
    }
    products = []
    for index in range(network.num_layers):
        layer: trt.ILayer = network.get_layer(index)
        if layer.type in operations:
            products.append((node_name(layer.metadata) or layer.name, operations[layer.type]))
    return products


def _parser_error(library: Library, parser: trt.OnnxParser) -> str:
    if not parser.num_errors:
        return first_error(library.logger)
    error: trt.ParserError = parser.get_error(0)
    where = f"{error.node_operator()} node {error.node_name()!r}: " if error.node_name() else ""
    return where + " ".join(str(error.desc()).split())[:300]
