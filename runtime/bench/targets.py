"""What ``edgeirf bench`` measures: every device of this machine with every graph that it can run."""

from __future__ import annotations

from dataclasses import dataclass

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, UsageError
from edgeirf.runtime.executors.select import ALL, explain


@dataclass(frozen=True)
class Target:
    """One device with one graph.

    Attributes:
        device: as :func:`edgeirf.load` takes it.
        model: key of the graph, which :func:`edgeirf.load` takes as the precision.
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
    """Every device of this machine with every graph that it can run, also the graphs that the gate refused.

    Args:
        device: only this one, ``cpu``, ``cuda`` or ``tensorrt``; None for all that work here.
        precision: only this one; None for all.

    Raises:
        UsageError: an unknown device, or no graph of that precision.
        BackendError: the device that was asked for does not work here.
    """
    found = explain(bundle, device or ALL, precision)
    targets = [Target(one.device, one.graph, one.precision) for one in found if one.runs]
    if not targets and found and device:
        raise BackendError(found[0].reason)
    if not targets:
        raise UsageError(f"{bundle.path} has no {precision} graph: it has {', '.join(bundle.manifest.models)}")
    return targets
