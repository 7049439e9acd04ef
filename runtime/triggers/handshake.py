"""The handshake with a PLC: pure, apart from one lock. Any server that a PLC reads and writes can carry it.

1. Ready is set. The PLC sets Trigger and holds it. The line answers Ack with the part id, Ready drops, Busy is set.
   A trigger while Ready is not set is counted as refused, and Ack does not come.
2. The PLC drops Trigger; Ack drops.
3. The result is there: Completed toggles, Valid is set, Busy drops when no part is open. The result stays as it is.
4. The PLC sets ResultsAck; Valid drops. The PLC drops ResultsAck; the next result, if there is one, takes its place.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.output import State
from edgeirf.runtime.outputs.plc import PlcInputs, PlcOutputs
from edgeirf.runtime.triggers.trigger import Announce

RESULTS = 64
"""Results that may wait for ResultsAck. A PLC that never acknowledges gets the newest ones."""


class Control(Protocol):
    """What a peer or an operator asks of the line; :class:`edgeirf.runtime.line.line.Line` is one."""

    @property
    def state(self) -> State:
        """The state now."""
        ...

    @property
    def reason(self) -> str:
        """Why the line is DEGRADED or in FAULT."""
        ...

    def acknowledge(self, operator: str) -> bool:
        """An operator has seen the fault."""
        ...

    def heard(self, count: int) -> None:
        """The heartbeat of the peer."""
        ...

    def fault(self, reason: str) -> None:
        """The trigger no longer works: rejects every open part and puts the outputs in their safe state."""
        ...


@runtime_checkable
class Controlled(Protocol):
    """A trigger whose peer also asks other things of the line."""

    control: Control | None


class Handshake:
    """Announces parts for a PLC and shows it their verdicts, one after another.

    >>> handshake = Handshake()
    >>> handshake.start(lambda part_id, at: True)
    >>> handshake.inputs(PlcInputs(trigger=True, part_id=7))
    >>> handshake.snapshot().trigger_ack, handshake.snapshot().busy
    (True, True)
    >>> handshake.complete(PartVerdict(part_id=7, reject=False, reason="inspected"))
    >>> handshake.snapshot().valid, handshake.snapshot().result.part_id
    (True, 7)

    Attributes:
        control: the line, for acknowledgements, its heartbeat and Ready; None: Ready while the trigger is started.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.control: Control | None = None
        self._clock, self._lock = clock, threading.RLock()
        self._announce: Announce | None = None
        self._trigger = self._trigger_ack = self._results_ack = self._acknowledge = False
        self._completed = self._valid = False
        self._part_id = self._number = self._refused = self._open = 0
        self._result: PartVerdict | None = None
        self._waiting: deque[PartVerdict] = deque(maxlen=RESULTS)

    def start(self, announce: Announce) -> None:
        """See :class:`edgeirf.runtime.triggers.trigger.Trigger`."""
        self._announce = announce

    def stop(self) -> None:
        """Accepts nothing more; results can still be read."""
        self._announce = None

    def inputs(self, inputs: PlcInputs) -> None:
        """Takes what the PLC says now; edges count."""
        control = self.control
        with self._lock:
            rising = inputs.trigger and not self._trigger
            acknowledge = inputs.acknowledge and not self._acknowledge
            self._trigger, self._acknowledge = inputs.trigger, inputs.acknowledge
            self._trigger_ack = self._trigger_ack and inputs.trigger
            self._take_results_ack(inputs.results_ack)
        if control is not None:
            control.heard(inputs.heartbeat)
            if acknowledge:
                control.acknowledge("PLC")
        if rising:
            self._triggered(inputs.part_id)

    def complete(self, verdict: PartVerdict) -> None:
        """Takes the verdict on a part."""
        with self._lock:
            self._open = max(0, self._open - 1)
            self._waiting.append(verdict)
            self._show_next()

    def snapshot(self) -> PlcOutputs:
        """Signals and result that belong together."""
        with self._lock:
            return PlcOutputs(
                ready=self._ready and not self._trigger,
                trigger_ack=self._trigger_ack,
                part_id=self._part_id,
                busy=self._open > 0,
                completed=self._completed,
                valid=self._valid,
                refused=self._refused,
                result=self._result,
            )

    @property
    def _ready(self) -> bool:
        return self._announce is not None and (self.control is None or self.control.state in ("RUNNING", "DEGRADED"))

    def _triggered(self, asked: int) -> None:
        """The line is asked without the lock: it may hand a verdict over meanwhile."""
        announce = self._announce
        with self._lock:
            self._number += asked == 0
            part_id = asked or self._number
            self._open += 1
        accepted = announce is not None and announce(part_id, self._clock())
        with self._lock:
            if accepted:
                self._trigger_ack, self._part_id = self._trigger, part_id
            else:
                self._open -= 1
                self._refused += 1

    def _take_results_ack(self, results_ack: bool) -> None:
        falling = self._results_ack and not results_ack
        self._results_ack = results_ack
        if results_ack:
            self._valid = False
        if falling:
            self._show_next()

    def _show_next(self) -> None:
        """A result takes its place when the last one was acknowledged."""
        if self._waiting and not self._valid and not self._results_ack:
            self._result = self._waiting.popleft()
            self._completed, self._valid = not self._completed, True
