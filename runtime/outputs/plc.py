"""A PLC as peer: its signals, and the output that shows a PLC the newest result."""

from __future__ import annotations

import threading
from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

from edgeirf.part import PartId, PartVerdict
from edgeirf.runtime.outputs.output import Output, State


@dataclass(frozen=True)
class PlcInputs:
    """What a PLC says.

    >>> PlcInputs(trigger=True, part_id=7).results_ack
    False

    Attributes:
        trigger: a part is in place; the PLC holds it until the trigger is acknowledged.
        results_ack: the PLC has read the result.
        acknowledge: an operator acknowledges a FAULT.
        part_id: of the part that is in place.
        heartbeat: a counter that the PLC changes.
    """

    trigger: bool = False
    results_ack: bool = False
    acknowledge: bool = False
    part_id: int = 0
    heartbeat: int = 0


@dataclass(frozen=True)
class PlcOutputs:
    """What a PLC reads: signals, and the result that belongs to them.

    >>> PlcOutputs(ready=True).valid
    False

    Attributes:
        ready: a trigger is accepted.
        trigger_ack: the trigger is accepted, as ``part_id``.
        part_id: of the last accepted trigger; 0: none yet.
        busy: a part is being inspected.
        completed: toggles with every inspection.
        valid: the result is there, and stays until the PLC acknowledges it.
        refused: triggers that came while the line was not ready.
        result: the result shown; None: none yet.
    """

    ready: bool = False
    trigger_ack: bool = False
    part_id: PartId = 0
    busy: bool = False
    completed: bool = False
    valid: bool = False
    refused: int = 0
    result: PartVerdict | None = None


class Handshake(Protocol):
    """The handshake between PLC and line. Every method may be called from every thread."""

    def inputs(self, inputs: PlcInputs) -> None:
        """Takes what the PLC says now."""

    def complete(self, verdict: PartVerdict) -> None:
        """Takes the verdict on a part."""

    def snapshot(self) -> PlcOutputs:
        """Signals and result that belong together."""


class Newest:
    """No handshake: the newest result is shown, and nobody acknowledges it.

    >>> newest = Newest()
    >>> newest.complete(PartVerdict(part_id=7, reject=True, reason="late"))
    >>> newest.snapshot().valid
    True
    """

    def __init__(self) -> None:
        self._result: PartVerdict | None = None
        self._completed = False

    def inputs(self, inputs: PlcInputs) -> None:
        """Nothing depends on the PLC."""

    def complete(self, verdict: PartVerdict) -> None:
        """Shows this verdict from now on."""
        self._result, self._completed = verdict, not self._completed

    def snapshot(self) -> PlcOutputs:
        """The newest result."""
        result = self._result
        return PlcOutputs(ready=True, completed=self._completed, valid=result is not None, result=result)


@dataclass(frozen=True)
class Shown:
    """Everything that a PLC may read at one moment.

    Attributes:
        state: of the line.
        reason: why it is in that state.
        heartbeat: counts.
        outputs: signals and result.
    """

    state: State
    reason: str
    heartbeat: int
    outputs: PlcOutputs


class PlcOutput(Output):
    """Shows a PLC state, heartbeat and result. The PLC reads when it likes: nothing waits for it.

    Safe state: FAULT, no signal set, a reject as result. It ends with the next verdict, or when the line is ready.

    Args:
        name: as the configuration names it.

    Attributes:
        handshake: decides which result is shown and until when. Set it before :meth:`open`.
        plc: what the PLC said last.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.handshake: Handshake = Newest()
        self.plc = PlcInputs()
        self._state: tuple[State, str] = ("INIT", "")
        self._heartbeat, self._is_safe = 0, False
        self._failed: Exception | None = None
        self._lock = threading.Lock()

    def act(self, verdict: PartVerdict) -> None:
        """Hands the verdict to the handshake."""
        with self._lock:
            self.handshake.complete(verdict)
            self._is_safe = False
        self._changed()

    def state(self, state: State, reason: str) -> None:
        """Shows the state of the line."""
        with self._lock:
            self._state = (state, reason)
            self._is_safe = self._is_safe and state in ("INIT", "FAULT")
        self._changed()

    def beat(self, count: int) -> None:
        """Shows the count.

        Raises:
            Exception: what the handshake raised since the last count.
        """
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed
        self._heartbeat = count
        self._changed()

    def safe(self) -> None:
        """Shows FAULT and a reject."""
        with self._lock:
            self._is_safe = True
        self._changed()

    def shown(self) -> Shown:
        """What the PLC reads now."""
        with self._lock:
            if self._is_safe:
                fault = PartVerdict(part_id=0, reject=True, reason="fault")
                return Shown("FAULT", "safe state", self._heartbeat, PlcOutputs(result=fault))
            return Shown(*self._state, self._heartbeat, self.handshake.snapshot())

    def hear(self, inputs: PlcInputs) -> None:
        """Takes what the PLC says. Never raises: it runs on a thread of a library, which would hide the error."""
        self.plc = inputs
        try:
            self.handshake.inputs(inputs)
        except Exception as error:
            self._failed = error
        self._changed()

    def _changed(self) -> None:
        """What :meth:`shown` returns may have changed: an output that writes instead of being read writes now."""
        return

    @abstractmethod
    def open(self) -> None:
        """Starts to serve."""
