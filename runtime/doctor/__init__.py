"""``edgeirf doctor``: what this machine has, what it lacks, and the one command that mends each lack.

Nothing is changed. Tables of made-up Jetsons, desktops and containers test it; it has not run on a real Jetson.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgeirf.runtime.doctor import cameras, gpu, jetson, machine, software
from edgeirf.runtime.doctor.system import Finding, System

__all__ = ["Examination", "Finding", "System", "examine"]


@dataclass(frozen=True)
class Examination:
    """All findings, by group, and what they come to.

    Attributes:
        groups: title to findings, in the order to show them.
        device: the back end that ``--device auto`` takes: ``tensorrt`` or ``onnxruntime``.
        reason: why that one, in one line.
    """

    groups: dict[str, tuple[Finding, ...]]
    device: str
    reason: str

    @property
    def healthy(self) -> bool:
        """Whether edgeirf can work at all."""
        return not any(finding.status == "fail" for findings in self.groups.values() for finding in findings)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "healthy": self.healthy,
            "device": self.device,
            "reason": self.reason,
            "findings": [
                {"group": group, **asdict(finding)} for group, findings in self.groups.items() for finding in findings
            ],
        }


def examine(system: System | None = None) -> Examination:
    """Looks at everything; takes some seconds, for each library is imported in a process of its own."""
    system = system or System()
    on_jetson = jetson.is_jetson(system)
    groups = {
        "Software": tuple(software.check(system)),
        **({"Jetson": tuple(jetson.check(system))} if on_jetson else {}),
        "GPU": tuple(gpu.check(system, on_jetson)),
        "Machine": tuple(machine.check(system)),
        "Cameras": tuple(cameras.check(system)),
    }
    device, reason = _device(system, on_jetson or gpu.is_present(system))
    return Examination(groups, device, reason)


def _device(system: System, present: bool) -> tuple[str, str]:
    if not present:
        return "onnxruntime", "there is no NVIDIA GPU"
    opened, tensorrt = system.probe("gpu"), system.probe("tensorrt")
    for answer in (opened, tensorrt):
        if "error" in answer:
            return "onnxruntime", answer["error"]
    return "tensorrt", f"{tensorrt['label']} on {opened['name']} ({opened['sm']})"
