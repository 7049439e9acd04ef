"""Device and graph for a bundle: the only code that chooses them. ``edgeirf doctor`` and ``bench`` ask it why.

The libraries are imported when they are needed: ``edgeirf doctor`` must work where one of them does not load.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgeirf.bundle import Bundle
from edgeirf.conformal import Limits
from edgeirf.errors import BackendError, EdgeirfError, UsageError
from edgeirf.manifest import Model
from edgeirf.runtime.executors.cores import MAX_THREADS
from edgeirf.runtime.executors.fallback import Start
from edgeirf.runtime.executors.machine import PROVIDERS, Machine, ThisMachine, gpu_present
from edgeirf.runtime.tensorrt.progress import Progress

if TYPE_CHECKING:
    from edgeirf.runtime.executors.base import Executor, Network

DEVICES = ("auto", "cpu", "openvino", "cuda", "tensorrt")
"""``cpu``, ``cuda``: ONNX Runtime. ``openvino``: the CPU too. ``auto``: TensorRT where it works, else ``cpu``."""
ALL = "all"
"""For :func:`explain`: every device."""
_ORDER = {
    "auto": ("tensorrt", "cpu"),
    ALL: ("cpu", "openvino", "cuda", "tensorrt"),
    **{device: (device,) for device in DEVICES[1:]},
}
_FAMILY = {"cpu": "onnxruntime", "openvino": "onnxruntime", "cuda": "cuda", "tensorrt": "tensorrt"}
_FASTEST_FIRST = {
    "tensorrt": ("fp16", "int8", "fp32"),  # until the device has timed both: see executors/tensorrt.py
    "onnxruntime": ("int8", "fp32", "fp16"),
    "cuda": ("fp16", "fp32", "int8"),  # ONNX Runtime has no INT8 convolutions on CUDA
}

log = logging.getLogger("edgeirf")


@dataclass(frozen=True)
class Request:
    """What the caller of :func:`open_executor` wants.

    Attributes:
        product: whose calibration decides.
        false_reject_rate: share of good parts that may be rejected.
        device: one of :data:`DEVICES`.
        precision: ``fp32``, ``fp16``, ``int8`` or a graph's key; None takes the fastest that passed its gate.
        threads: of ONNX Runtime; None takes ``EDGEIRF_THREADS``, else the cores this process may use.
        keep_warm: let a GPU repeat the last frame while it waits.
        spin: let a thread that waits for a GPU keep its core.
        threshold: reject image scores above this, in place of the threshold that the rate gives.
        batch: frames that may go through ONNX Runtime together.
    """

    product: str
    false_reject_rate: float
    device: str = "auto"
    precision: str | None = None
    threads: int | None = None
    keep_warm: bool = False
    spin: bool = False
    threshold: float | None = None
    batch: int = 1

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads not in range(1, MAX_THREADS + 1):
            raise UsageError(f"threads is a whole number from 1 to {MAX_THREADS}, not {self.threads!r}")

    def limits(self, model: Model) -> Limits:
        """What scores of the graph are compared with."""
        limits = model.calibration[self.product].limits(self.false_reject_rate)
        return limits if self.threshold is None else replace(limits, threshold=self.threshold)


@dataclass(frozen=True)
class Selection:
    """The device and the graph that were chosen, and the executor that runs the graph.

    Attributes:
        device: ``cpu``, ``cuda`` or ``tensorrt``.
        key, model: the graph; its calibration belongs to it.
        executor: ready to inspect.
    """

    device: str
    key: str
    model: Model
    executor: Executor


@dataclass(frozen=True)
class Candidate:
    """A device, with a graph where there is a bundle, and why it is taken or not.

    Attributes:
        device: ``cpu``, ``cuda`` or ``tensorrt``.
        graph: key of the graph; empty without a bundle.
        precision: of the graph.
        runs: the device works on this machine and can run the graph, also where the gate refused the graph.
        taken: :func:`open_executor` tries this one first.
        reason: why it is taken or not, one line.
    """

    device: str
    graph: str
    precision: str
    runs: bool
    taken: bool
    reason: str


def explain(
    bundle: Bundle | None = None,
    device: str = "auto",
    precision: str | None = None,
    machine: Machine | None = None,
) -> tuple[Candidate, ...]:
    """Every device and graph that may run a bundle, best first, with the reason why it is taken or not.

    An engine is neither built nor tested here: :func:`open_executor` falls back to the next candidate when an engine's
    scores differ from the golden ones.

    Args:
        bundle: None explains the devices alone.
        device: one of :data:`DEVICES`, or :data:`ALL`.
        precision: only graphs of this precision or with this key; None for all.
        machine: where; None for this one.

    Raises:
        UsageError: an unknown device.
    """
    machine, found = machine or ThisMachine(), []
    best = ""
    for name in _ORDER[ALL] if device == ALL else _devices(device):
        support = machine.support(name)
        for key, model in _ranked(bundle, _FAMILY[name], precision) if bundle else [("", None)]:
            refused = model.refused if model is not None and precision is None else None
            good = support.works and refused is None
            reason = support.reason if not support.works else refused or (f"after {best}" if best else support.reason)
            found.append(
                Candidate(name, key, model.precision if model else "", support.works, good and not best, reason)
            )
            best = best or (f"{name} {key}".strip() if good else "")
    return tuple(found)


def candidates(bundle: Bundle, family: str, precision: str | None) -> list[tuple[str, Model]]:
    """The graphs that a family of libraries may run, fastest first: the one asked for, else all that passed their gate.

    Args:
        bundle: holds the graphs.
        family: ``tensorrt``, ``onnxruntime``, or ``cuda`` for ONNX Runtime on CUDA.
        precision: ``fp32``, ``fp16``, ``int8`` or a graph's key; None for all that passed.

    Raises:
        UsageError: the bundle has no such precision.
        BackendError: the bundle holds no graph for the family.
    """
    found = _ranked(bundle, family, precision)
    if precision is not None:
        if not found:
            keys = ", ".join(key for key, _ in _ranked(bundle, family, None))
            raise UsageError(f"{bundle.path} has no {precision} for {family}, only {keys}: export it with --precision")
        return found[:1]
    passed = [(key, model) for key, model in found if model.refused is None]
    if not passed:
        raise BackendError(f"{bundle.path} holds no graph that {family} may run")
    return passed


def choose_model(bundle: Bundle, family: str, precision: str | None) -> tuple[str, Model]:
    """The first of :func:`candidates`; raises as it does."""
    return candidates(bundle, family, precision)[0]


def open_executor(bundle: Bundle, request: Request, progress: Progress | None = None) -> Selection:
    """Opens the best device and graph for the request; with ``auto``, the CPU where TensorRT does not work.

    Args:
        bundle: holds the graphs.
        request: what is wanted.
        progress: called with the progress of the build of a TensorRT engine.

    Raises:
        UsageError: an unknown device or precision.
        BackendError: the library is missing, refuses the graph, or does not give the golden scores again.
        BundleError: the bundle has no usable golden images.
    """
    *first, last = _devices(request.device)
    for device in first:
        try:
            return _open(bundle, device, request, progress, smaller=True)
        except (BackendError, UsageError) as error:
            # Without a GPU the CPU is no surprise; with a GPU, the user wants to know why it is idle.
            log.log(logging.WARNING if gpu_present() else logging.DEBUG, "TensorRT is not used: %s", error)
    return _open(bundle, last, request, progress)


def _open(bundle: Bundle, device: str, request: Request, progress: Progress | None, smaller: bool = False) -> Selection:
    """Args as of :func:`open_executor`; ``smaller``: another device follows."""
    graphs = candidates(bundle, _FAMILY[device], request.precision)
    if device == "tensorrt":
        return _open_tensorrt(bundle, graphs, request, progress, smaller)
    from edgeirf.runtime.executors.cpu import CpuExecutor

    network: Network
    depth = request.batch
    if device == "openvino":
        from edgeirf.runtime.executors.openvino import load_graph

        loaded = load_graph(bundle, graphs, request.threads)
        key, model, network = loaded.key, loaded.model, loaded.network
        depth = 1  # it compiles the graph anew for another batch
    else:
        key, model, network = _load_onnxruntime(bundle, device, graphs, request.threads)
    executor = CpuExecutor(network, bundle.manifest.preprocess, model.scoring, request.limits(model), depth)
    return Selection(device, key, model, executor)


def _load_onnxruntime(
    bundle: Bundle, device: str, graphs: Sequence[tuple[str, Model]], threads: int | None
) -> tuple[str, Model, Network]:
    """The fastest graph that gives the golden scores again on this processor; a precision asked for is not replaced."""
    import onnxruntime

    from edgeirf.runtime.executors import golden
    from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork

    def load(key: str, model: Model) -> tuple[str, Model, Network]:
        network = OnnxRuntimeNetwork(bundle.member(model.file), threads=threads, provider=PROVIDERS[device])
        try:
            golden.check(bundle, model, network)
        except BaseException:
            network.close()
            raise
        return key, model, network

    start = Start(bundle, "CUDA" if device == "cuda" else "the CPU", smaller=False, version=onnxruntime.__version__)
    return start.first(graphs, load)


def _open_tensorrt(
    bundle: Bundle, graphs: Sequence[tuple[str, Model]], request: Request, progress: Progress | None, smaller: bool
) -> Selection:
    """The whole frame on the GPU; pre-processing and scoring on the CPU where the GPU's own kernels do not work."""
    from edgeirf.runtime.cuda.context import set_waiting
    from edgeirf.runtime.executors import tensorrt
    from edgeirf.runtime.executors.cpu import CpuExecutor
    from edgeirf.runtime.executors.gpu import keep_warm
    from edgeirf.runtime.executors.gpu.executor import GpuExecutor

    if request.spin:
        set_waiting(spin=True)
    loaded = tensorrt.load_graph(bundle, graphs, progress, smaller)
    network, model, settings = loaded.network, loaded.model, bundle.manifest.preprocess
    warm, limits = keep_warm.INTERVAL_S if request.keep_warm else None, request.limits(model)
    executor: Executor
    try:
        with Start(bundle, network.device.gpu.name, smaller).of("pre-processing and scoring", smaller=True):
            executor = GpuExecutor(
                network.engine, settings, model.scoring, limits, release=network.close, keep_warm_s=warm
            )
    except EdgeirfError as error:
        log.warning("pre-processing and scoring stay on the CPU: %s", error)
        executor = CpuExecutor(network, settings, model.scoring, limits)
    return Selection("tensorrt", loaded.key, model, executor)


def _devices(device: str) -> tuple[str, ...]:
    if device not in DEVICES:
        raise UsageError(f"unknown device {device!r}: choose one of {', '.join(DEVICES)}")
    return _ORDER[device]


def _ranked(bundle: Bundle, family: str, precision: str | None) -> list[tuple[str, Model]]:
    """The family's graphs of a precision or key, best first: its key, those that passed, the others."""
    layouts, order = ("any", "tensorrt" if family == "tensorrt" else "onnxruntime"), _FASTEST_FIRST[family].index
    wanted = [
        (key, model)
        for key, model in bundle.manifest.models.items()
        if model.family in layouts and precision in (None, key, model.precision)
    ]
    return sorted(
        wanted, key=lambda one: (one[0] != precision, one[1].refused is not None, order(one[1].precision), one[0])
    )
