"""What can run the network: one small class per library behind one seam."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, UsageError
from edgeirf.manifest import Model

if TYPE_CHECKING:
    from edgeirf.runtime.tensorrt.progress import Progress

DEVICES = ("auto", "cpu", "cuda", "tensorrt")
"""``cpu`` and ``cuda`` are ONNX Runtime's; ``auto`` is TensorRT where it works, else ``cpu``."""
_FASTEST_FIRST = {
    "tensorrt": ("int8", "fp16", "fp32"),
    "onnxruntime": ("int8", "fp32", "fp16"),
    "cuda": ("fp16", "fp32", "int8"),  # ONNX Runtime has no INT8 convolutions on CUDA
}
_GPU_NODES = ("/dev/nvidiactl", "/dev/nvmap", "/dev/nvhost-ctrl-gpu", "/dev/dxg")

log = logging.getLogger("edgeirf")


class Backend(Protocol):
    """Runs one graph of a bundle.

    Attributes:
        name: ``onnxruntime``, ``tensorrt``, ...
    """

    name: str

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(T, 3, H, W)`` float32 input to the whitened field ``(T, C, h, w)`` float32.

        Raises:
            BackendError: the library or the device failed.
        """
        ...

    def close(self) -> None:
        """Frees the device; the back end cannot be used again."""
        ...


@dataclass(frozen=True)
class Opened:
    """A graph of a bundle, loaded.

    Attributes:
        key, model: which graph; its calibration goes with it.
        backend: what runs it.
    """

    key: str
    model: Model
    backend: Backend


def candidates(bundle: Bundle, family: str, precision: str | None) -> list[tuple[str, Model]]:
    """The graphs a family of back ends may run, fastest first: the one asked for, else all that passed their gate.

    Args:
        family: ``tensorrt``, ``onnxruntime``, or ``cuda`` for ONNX Runtime on CUDA.
        precision: ``fp32``, ``fp16``, ``int8`` or a graph's key; None for all that passed.

    Raises:
        UsageError: the bundle has no such precision.
        BackendError: the bundle holds no graph for the family.
    """
    order = _FASTEST_FIRST[family].index
    layouts = ("any", "tensorrt" if family == "tensorrt" else "onnxruntime")
    models = {key: model for key, model in bundle.manifest.models.items() if model.family in layouts}
    if precision is not None:
        for key, model in models.items():
            if precision in (key, model.precision):
                return [(key, model)]
        raise UsageError(
            f"{bundle.path} has no {precision} for {family}, only {', '.join(models)}: export it with --precision"
        )
    passed = sorted((order(model.precision), key) for key, model in models.items() if model.refused is None)
    if not passed:
        raise BackendError(f"{bundle.path} holds no graph that {family} may run")
    return [(key, models[key]) for _, key in passed]


def choose_model(bundle: Bundle, family: str, precision: str | None) -> tuple[str, Model]:
    """The first of :func:`candidates`; raises as it does."""
    return candidates(bundle, family, precision)[0]


def open_model(
    bundle: Bundle,
    device: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Opened:
    """Loads the graph of the bundle that suits ``device`` best, or the precision asked for.

    Args:
        device: one of :data:`DEVICES`.
        precision: ``fp32``, ``fp16``, ``int8`` or a graph's key; None takes the fastest that passed its gate.
        threads: of ONNX Runtime; None takes ``EDGEIRF_THREADS``, else the cores this process may use.
        progress: told how far the build of a TensorRT engine is.

    Raises:
        UsageError: an unknown device or precision.
        BackendError: the library is missing, refuses the graph, or does not give the golden scores again.
        BundleError: the bundle has no usable golden images.
    """
    if device not in DEVICES:
        raise UsageError(f"unknown device {device!r}: choose one of {', '.join(DEVICES)}")
    if device in ("auto", "tensorrt"):
        from edgeirf.runtime.executors.tensorrt import open_tensorrt

        try:
            return open_tensorrt(bundle, precision, progress)
        except (BackendError, UsageError) as error:
            if device == "tensorrt":
                raise
            # Without a GPU the CPU is no surprise; with one, the user wants to know why it idles.
            log.log(logging.WARNING if gpu_present() else logging.DEBUG, "TensorRT is not used: %s", error)
    return _open_onnxruntime(bundle, device, precision, threads)


def _open_onnxruntime(bundle: Bundle, device: str, precision: str | None, threads: int | None) -> Opened:
    """The fastest graph that gives the golden scores again on this processor; a precision asked for is not replaced."""
    from edgeirf.runtime.executors import golden
    from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeBackend

    place, provider = ("CUDA", "CUDAExecutionProvider") if device == "cuda" else ("the CPU", "CPUExecutionProvider")
    models = candidates(bundle, "cuda" if device == "cuda" else "onnxruntime", precision)
    for (key, model), (spare, _) in zip(models, [*models[1:], ("", None)], strict=True):
        backend = OnnxRuntimeBackend(bundle.member(model.file), threads=threads, provider=provider)
        try:
            golden.check(bundle, model, backend)
        except BaseException as error:
            backend.close()
            reason = f"{key} on {place}: {error}"
            if not isinstance(error, BackendError):
                raise
            if not spare:
                raise BackendError(reason) from None
            log.warning("%s; falling back to %s", reason, spare)
        else:
            return Opened(key, model, backend)
    raise AssertionError("candidates() gives at least one")


def gpu_present(root: Path = Path("/")) -> bool:
    """Whether the kernel shows an NVIDIA GPU, working or not: desktop, Jetson or WSL."""
    return any((root / node.lstrip("/")).exists() for node in _GPU_NODES)
