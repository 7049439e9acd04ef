"""What can run the network: one small class per library behind one seam."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, UsageError
from edgeirf.manifest import Model

DEVICES = ("auto", "cpu")


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


def choose_model(bundle: Bundle, family: str, precision: str | None) -> tuple[str, Model]:
    """The graph to run for a family of back ends: the precision asked for, else the fastest that passed its gate.

    Raises:
        UsageError: the bundle has no such precision.
    """
    order = {"int8": 0, "fp16": 1, "fp32": 2} if family == "tensorrt" else {"int8": 0, "fp32": 1, "fp16": 2}
    models = {key: m for key, m in bundle.manifest.models.items() if m.family in ("any", family)}
    if precision is not None:
        for key, model in models.items():
            if precision in (key, model.precision):
                return key, model
        raise UsageError(
            f"{bundle.path} has no {precision} for {family}, only {', '.join(models)}: export it with --precision"
        )
    passed = [(order[m.precision], key) for key, m in models.items() if m.refused is None]
    if not passed:
        raise BackendError(f"{bundle.path} holds no graph that {family} may run")
    return min(passed)[1], models[min(passed)[1]]


def open_backend(bundle: Bundle, model: Model, device: str, threads: int | None) -> Backend:
    """Loads ``model`` of the bundle on ``device``.

    Raises:
        UsageError: an unknown device.
        BackendError: the library is missing or refuses the graph.
    """
    if device not in DEVICES:
        raise UsageError(f"unknown device {device!r}: choose one of {', '.join(DEVICES)}")
    from edgeirf.runtime.backends.ort import OnnxRuntimeBackend

    return OnnxRuntimeBackend(bundle.member(model.file), threads=threads)
