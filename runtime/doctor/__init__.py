"""``edgeirf doctor``: what this machine has, what is missing, and the one command that installs or repairs it.

It changes nothing. Its tests describe Jetsons, desktops and containers in tables; it has not run on a real Jetson.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgeirf.runtime.doctor import cameras, gpu, jetson, machine, software
from edgeirf.runtime.doctor.system import Finding, System
from edgeirf.runtime.executors.machine import Support
from edgeirf.runtime.executors.select import Candidate, explain

__all__ = ["Examination", "Finding", "System", "examine"]


@dataclass(frozen=True)
class Examination:
    """All findings by group, and the device that they allow.

    Attributes:
        groups: title to findings, in the order to show them.
        devices: what ``--device auto`` would take, best first, each with the reason why it is taken or not.
    """

    groups: dict[str, tuple[Finding, ...]]
    devices: tuple[Candidate, ...]

    @property
    def device(self) -> str:
        """The library that ``--device auto`` takes: ``tensorrt`` or ``onnxruntime``."""
        return "tensorrt" if self.devices[0].taken else "onnxruntime"

    @property
    def reason(self) -> str:
        """Why TensorRT is taken, or why not, in one line."""
        return self.devices[0].reason

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
            "devices": [{"device": one.device, "taken": one.taken, "reason": one.reason} for one in self.devices],
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
        "Camera kinds": tuple(cameras.check_kinds(system)),
    }
    machine_here = _Probed(system, on_jetson or gpu.is_present(system))
    return Examination(groups, explain(machine=machine_here))


@dataclass(frozen=True)
class _Probed:
    """Implements :class:`edgeirf.runtime.executors.machine.Machine`: looks at each library in a process of its own."""

    system: System
    gpu_present: bool

    def support(self, device: str) -> Support:
        """See :class:`edgeirf.runtime.executors.machine.Machine`."""
        if device == "cpu":
            found = self.system.probe("onnxruntime")
            return Support("error" not in found, found.get("error", f"ONNX Runtime {found.get('version')}"))
        if not self.gpu_present:
            return Support(False, "there is no NVIDIA GPU")
        opened, tensorrt = self.system.probe("gpu"), self.system.probe("tensorrt")
        for answer in (opened, tensorrt):
            if "error" in answer:
                return Support(False, answer["error"])
        return Support(True, f"{tensorrt['label']} on {opened['name']} ({opened['sm']})")
