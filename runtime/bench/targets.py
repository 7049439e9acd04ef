"""Everything on this machine that can run a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, UsageError
from edgeirf.runtime.executors.select import DEVICES

_FAMILY = {"cpu": "onnxruntime", "cuda": "onnxruntime", "tensorrt": "tensorrt"}


@dataclass(frozen=True)
class Target:
    """One back end with one graph.

    Attributes:
        device: as :func:`edgeirf.load` takes it.
        model: key of the graph, which is also how :func:`edgeirf.load` takes the precision.
        precision: ``fp32``, ``fp16`` or ``int8``.
    """

    device: str
    model: str
    precision: str

    @property
    def backend(self) -> str:
        """Name in tables: ``onnxruntime-cpu``, ``onnxruntime-cuda``, ``tensorrt``."""
        return self.device if self.device == "tensorrt" else f"onnxruntime-{self.device}"


def find_targets(bundle: Bundle, device: str | None = None, precision: str | None = None) -> list[Target]:
    """Every back end of this machine with every graph that it may run, refused graphs included.

    Args:
        device: only this one, ``cpu``, ``cuda`` or ``tensorrt``; None for all that are here.
        precision: only this one; None for all.

    Raises:
        UsageError: an unknown device, or no graph of that precision.
        BackendError: the device that was asked for is not here.
    """
    if device is not None and device not in _FAMILY:
        raise UsageError(f"unknown device {device!r}: choose one of {', '.join(name for name in DEVICES[1:])}")
    found = [target for name in ([device] if device else _FAMILY) for target in _of(bundle, name, precision)]
    missing = why_not(device) if device else None
    if missing:
        raise BackendError(missing)
    found = [target for target in found if why_not(target.device) is None]
    if not found:
        raise UsageError(f"{bundle.path} has no {precision} graph: it has {', '.join(bundle.manifest.models)}")
    return found


def why_not(device: str) -> str | None:
    """Why this machine cannot use a device; None when it can."""
    if device == "cuda":
        import onnxruntime

        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            return "this onnxruntime has no CUDA: pip install onnxruntime-gpu"
    if device == "tensorrt":
        from edgeirf.runtime.cuda.context import load_driver
        from edgeirf.runtime.tensorrt import library

        try:
            library.load()
            load_driver()
        except BackendError as error:
            return str(error)
    return None


def _of(bundle: Bundle, device: str, precision: str | None) -> Iterator[Target]:
    for key, model in bundle.manifest.models.items():
        if model.family in ("any", _FAMILY[device]) and precision in (None, key, model.precision):
            yield Target(device, key, model.precision)
