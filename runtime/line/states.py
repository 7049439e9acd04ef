"""The states of a line: pure, without threads or clocks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgeirf.runtime.outputs.output import State

ALLOWED: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        "INIT": frozenset({"READY", "FAULT"}),
        "READY": frozenset({"INIT", "RUNNING", "DEGRADED", "FAULT"}),
        "RUNNING": frozenset({"INIT", "READY", "DEGRADED", "FAULT"}),
        "DEGRADED": frozenset({"INIT", "READY", "RUNNING", "FAULT"}),
        "FAULT": frozenset({"INIT"}),
    }
)
"""From each state, the states that may follow. FAULT is left through INIT: everything is opened anew."""

OPC_40100: Mapping[State, str] = MappingProxyType(
    {
        "INIT": "Preoperational",
        "READY": "Operational.Automatic.Ready",
        "RUNNING": "Operational.Automatic.ContinuousExecution",
        "DEGRADED": "Operational.Automatic.ContinuousExecution",
        "FAULT": "Error",
    }
)
"""The state of OPC 40100-1 (machine vision) that each state is; DEGRADED has no state of its own there."""

TAKES_PARTS: frozenset[State] = frozenset({"RUNNING", "DEGRADED"})
"""States in which a trigger is accepted. In the others it is counted and refused."""


class States:
    """The state of one line, and why.

    DEGRADED is RUNNING with at least one cause: the line inspects, and something needs a person. Each cause has a name
    (``camera top``, ``output plc``), so that one that ends does not hide another.

    >>> states = States()
    >>> states.opened(), states.started(), states.degrade("camera top", "no frame for 2 s")
    (True, True, True)
    >>> states.state, states.reason
    ('DEGRADED', 'camera top: no frame for 2 s')
    >>> states.fault("inspect: RuntimeError"), states.state, states.takes_parts
    (True, 'FAULT', False)
    >>> states.leave_fault(), states.state
    (True, 'INIT')

    Every method returns whether the state or its reason changed.

    Attributes:
        state: the state now.
        reason: one line for people; empty where there is nothing to say.
    """

    def __init__(self) -> None:
        self.state: State = "INIT"
        self.reason = ""
        self._causes: dict[str, str] = {}
        self._running = False

    @property
    def takes_parts(self) -> bool:
        """Whether a trigger is accepted."""
        return self.state in TAKES_PARTS

    @property
    def opc_state(self) -> str:
        """The name of this state in OPC 40100-1."""
        return OPC_40100[self.state]

    def opened(self) -> bool:
        """Cameras and detectors are open and warm: INIT to READY."""
        return self.state == "INIT" and self._to("READY", "")

    def started(self) -> bool:
        """Triggers are accepted from now on."""
        self._running = self._running or self.state == "READY"
        return self._settle()

    def stopped(self) -> bool:
        """The line closes: INIT, from every state but FAULT, which only :meth:`leave_fault` leaves."""
        self._running = False
        self._causes.clear()
        return self.state not in ("FAULT", "INIT") and self._to("INIT", "")

    def degrade(self, cause: str, detail: str) -> bool:
        """Something needs a person, and the line goes on."""
        self._causes[cause] = detail
        return self._settle()

    def clear(self, cause: str) -> bool:
        """A cause of DEGRADED has ended."""
        return self._causes.pop(cause, None) is not None and self._settle()

    def fault(self, reason: str) -> bool:
        """The line cannot inspect. The first reason stays: what follows is mostly its consequence."""
        self._running = False
        return self.state != "FAULT" and self._to("FAULT", reason)

    def leave_fault(self) -> bool:
        """FAULT to INIT: after an acknowledgement, or by itself where the configuration says so."""
        if self.state != "FAULT":
            return False
        self._causes.clear()
        return self._to("INIT", "")

    def _settle(self) -> bool:
        """RUNNING or DEGRADED, as the causes say; in other states a cause waits until the line runs."""
        if not self._running or self.state in ("INIT", "FAULT"):
            return False
        reason = "; ".join(f"{cause}: {detail}" for cause, detail in self._causes.items())
        return self._to("DEGRADED" if self._causes else "RUNNING", reason)

    def _to(self, state: State, reason: str) -> bool:
        if (state, reason) == (self.state, self.reason):
            return False
        if state != self.state and state not in ALLOWED[self.state]:
            raise ValueError(f"a line does not go from {self.state} to {state}")
        self.state, self.reason = state, reason
        return True
