"""A line at work: parts in, exactly one verdict each out, and never a silent failure."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from edgeirf.errors import EdgeirfError
from edgeirf.part import Part, PartId, PartVerdict
from edgeirf.runtime.inspection import Inspection
from edgeirf.runtime.line.backoff import Backoff
from edgeirf.runtime.line.deadline import Parts, Ticket
from edgeirf.runtime.line.engine import Engine
from edgeirf.runtime.line.inspect_thread import Job
from edgeirf.runtime.line.output_thread import CLOSE_S, OutputThread
from edgeirf.runtime.line.plan import LinePlan
from edgeirf.runtime.line.publisher import Decided, Publisher, one_line
from edgeirf.runtime.line.states import States
from edgeirf.runtime.outputs.output import Output, State
from edgeirf.runtime.sources.frame import Frame

log = logging.getLogger("edgeirf")
POLL_S = 0.1
"""How often :meth:`Line.run` looks at what a signal handler may set without a lock."""
FINISH_S = 1.0
"""What a stopped line waits for the parts that are open; the others are rejected."""
HANG_S = 10.0
"""A device that works on one frame for so long hangs, or for ten deadlines where that is longer."""


class Line:
    """Runs a :class:`LinePlan`. See ``docs/fail_safe.md`` for what it promises.

    >>> from edgeirf.runtime.line.capture_thread import Station
    >>> from edgeirf.runtime.line.engine import DetectorPlan
    >>> from edgeirf.runtime.sources import open_source
    >>> belt = Station("top", lambda: open_source("test://?count=3&size=64"))
    >>> plan = LinePlan([belt], {"": DetectorPlan(lambda sizes: edgeirf.load("bottle.irf", device="cpu"))})
    >>> verdicts = []
    >>> line = Line(plan, on_verdict=verdicts.append)
    >>> line.run()
    >>> [verdict.part_id for verdict in verdicts], line.state
    ([1, 2, 3], 'INIT')

    :meth:`run` works until every file has been inspected, or :meth:`stop`. :meth:`announce`, :meth:`acknowledge` and
    :meth:`heard` may be called from any thread.

    Args:
        plan: what the line consists of.
        on_verdict: called with each verdict after the outputs have it.
        on_state: called with each state and its reason.
        max_parts: the line stops after so many verdicts.
        wall: seconds since 1970, for the times that people read.
    """

    def __init__(
        self,
        plan: LinePlan,
        on_verdict: Callable[[PartVerdict], None] = lambda verdict: None,
        on_state: Callable[[State, str], None] = lambda state, reason: None,
        max_parts: int | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.plan, self._on_state, self._max = plan, on_state, max_parts
        self.lock = threading.Condition()
        self.parts = Parts([station.name for station in plan.stations], wall=wall, room=plan.room)
        self.missed = 0
        """Triggers that were not accepted."""
        self._states, self._engine = States(), Engine(self, plan.stations, plan.detectors, *self._mode)
        self._about: dict[PartId, tuple[float | None, Frame | None]] = {}
        self._stopping = self._acknowledged = False
        self._numbers: dict[str, int] = {}
        self._dropped = 0
        self._beat: tuple[int, float] | None = None
        self._outputs = [self._thread(output) for output in plan.outputs]
        self._publisher = Publisher(self, plan, self._outputs, on_verdict)

    @property
    def state(self) -> State:
        """The state now."""
        return self._states.state

    @property
    def reason(self) -> str:
        """Why the line is DEGRADED or in FAULT."""
        return self._states.reason

    @property
    def dropped(self) -> int:
        """Frames that no part took."""
        return self._dropped + self._engine.dropped

    @property
    def outputs(self) -> Sequence[OutputThread]:
        """The outputs with their counters."""
        return self._outputs

    # What triggers, peers and operators ask

    def announce(self, part_id: PartId | None, at: float) -> bool:
        """A part is there; see :data:`edgeirf.runtime.triggers.trigger.Announce`."""
        with self.lock:
            ticket = self.open_part(part_id, at)
            if ticket is None:
                self.missed += 1
                if self._states.takes_parts:  # an output that rejects by default rejects this part too
                    self._expect(Part(f"refused/{self.missed}", at))
                return False
            self._engine.want(ticket, at)
            return True

    def acknowledge(self, operator: str) -> bool:
        """An operator has seen the fault: the line opens everything anew. False: there is no fault."""
        with self.lock:
            if self.state != "FAULT":
                return False
            if self._acknowledged:
                return True
            log.warning("%s acknowledges: %s", operator, self.reason)
            action = getattr(self.plan.audit, "action", None)
            if action is not None:
                with suppress(EdgeirfError):  # a full disk must not keep the line in FAULT for ever
                    action(operator, f"acknowledged: {self.reason}")
            self._acknowledged = True
            self.lock.notify_all()
            return True

    def heard(self, count: int) -> None:
        """The heartbeat of the peer: a counter that must change."""
        with self.lock:
            if self._beat is None or self._beat[0] != count:
                self._beat = (count, time.monotonic())

    def stop(self) -> None:
        """Ends :meth:`run` soon. Takes no lock: signal handlers may call it."""
        self._stopping = True

    # The run

    def run(self) -> EdgeirfError | None:
        """Runs the line.

        Returns:
            what ended a file early, or why the line is in FAULT at the end; None where nothing did.

        Raises:
            EdgeirfError: a camera, detector or trigger cannot be opened at the start.
        """
        self._publisher.start()
        for thread in self._outputs:
            thread.start()
        try:
            self._open()
            if self.plan.trigger is not None:
                self.plan.trigger.start(self.announce)
            while not self._await_end():
                self._await_recovery()
            problem = self._engine.problem
            return EdgeirfError(self.reason) if self.state == "FAULT" and problem is None else problem
        finally:
            self._close()

    def _open(self) -> None:
        """INIT to RUNNING, with a new engine."""
        engine = Engine(self, self.plan.stations, self.plan.detectors, *self._mode)
        try:
            engine.open()
        except BaseException:
            engine.close()
            raise
        with self.lock:
            self._engine = engine
            self._beat = None if self._beat is None else (self._beat[0], time.monotonic())
            self._opened_at = time.monotonic()
            self._settled(self._states.opened())
            self._settled(self._states.started())
            engine.start()

    @property
    def _mode(self) -> tuple[bool, bool]:
        return self.plan.trigger is None, self.plan.together

    def _await_end(self) -> bool:
        """Waits for the end (True) or a fault (False), and closes the engine."""
        with self.lock:
            while self.state != "FAULT" and not self._stopping and not self._is_finished():
                self.lock.wait(POLL_S)
                self._look_for_silence()
            fault = self.state == "FAULT" and not self._stopping
            if not fault:
                self._finish_parts()
        self._engine.close()
        return not fault

    def _is_finished(self) -> bool:
        counted = self._max is not None and self.parts.decided >= self._max
        return counted or (self._engine.finished and len(self.parts) == 0)

    def _finish_parts(self) -> None:
        """The open parts get their verdict while the cameras still run; after :data:`FINISH_S` they are rejected."""
        self._settled(self._states.stopped())
        until = time.monotonic() + FINISH_S
        while len(self.parts) and time.monotonic() < until:
            self.lock.wait(0.02)
        for verdict in self.parts.fault("the line was stopped"):
            self.decide(verdict)

    def _look_for_silence(self) -> None:
        """A device or peer that says nothing any more."""
        limit = max(HANG_S, 10 * (self.plan.deadline_s or 0))
        if self._engine.busy_s > limit:
            self.fault(f"the device has not answered for {limit:g} s: restart the program, run `edgeirf doctor`")
        timeout = self.plan.peer_timeout_s
        if timeout and time.monotonic() - (self._beat[1] if self._beat else self._opened_at) > timeout:
            self.fault(f"the heartbeat of the PLC has not changed for {timeout:g} s: check the PLC and the cable")

    def _await_recovery(self) -> None:
        """FAULT until everything is open again."""
        backoff = Backoff(0.5, 30.0)
        while not self._stopping and self.state == "FAULT":
            with self.lock:
                until = time.monotonic() + backoff.next()
                while not self._stopping and not self._acknowledged:
                    if self.plan.self_recovery and time.monotonic() >= until:
                        break
                    self.lock.wait(POLL_S)
                if self._stopping:
                    return
                self._acknowledged = False
                self._dropped += self._engine.dropped
                self._settled(self._states.leave_fault())
            try:
                self._open()
            except Exception as error:  # what could be opened before fails now: the fault is not over
                with self.lock:
                    self.fault(str(error) if isinstance(error, EdgeirfError) else f"{type(error).__name__}: {error}")

    def _close(self) -> None:
        if self.plan.trigger is not None:
            with suppress(Exception):
                self.plan.trigger.stop()
        with self.lock:
            self._settled(self._states.stopped())
            for verdict in self.parts.fault("the line was stopped"):
                self.decide(verdict)
        self._publisher.close()
        for thread in self._outputs:
            thread.close()
        until = time.monotonic() + CLOSE_S
        for thread in self._outputs:
            if not thread.join(max(0.0, until - time.monotonic())):
                log.warning("output %s does not end: it is left behind", thread.output.name)
        for keeper in (self.plan.recording, self.plan.audit):
            if keeper is not None:
                keeper.close()

    # What the engine asks

    def open_part(self, part_id: PartId | None, at: float, view: str | None = None) -> Ticket | None:
        """Accepts a part. The lock is held."""
        if not self._states.takes_parts or (self._max is not None and self.parts.accepted >= self._max):
            return None
        name, number = view or "", self._numbers.get(view or "", 0) + 1
        if part_id is None:
            part_id = f"{name}/{number}" if name else number
        part = Part(part_id, at, None if self.plan.deadline_s is None else at + self.plan.deadline_s)
        ticket = self.parts.accept(part, *([view] if view else []))
        if ticket is not None:
            self._numbers[name] = number
            self._about[part_id] = (part.deadline, None)
            self._expect(part)
        return ticket

    def _expect(self, part: Part) -> None:
        for thread in self._outputs:
            thread.give(part)

    def decide(self, verdict: PartVerdict | None) -> None:
        """Publishes a verdict, where there is one. The lock is held."""
        if verdict is not None:
            deadline, frame = self._about.pop(verdict.part_id)
            self._publisher.put(Decided(verdict, deadline, frame))

    def seen(self, ticket: Ticket, frame: Frame) -> None:
        """Keeps a part's first frame for the monitor. The lock is held."""
        part_id = self.parts.part_id(ticket)
        if self.plan.watch is not None and part_id in self._about and self._about[part_id][1] is None:
            self._about[part_id] = (self._about[part_id][0], frame)

    def inspected(self, job: Job, inspection: Inspection) -> None:
        """Keeps an inspection's pictures. Called without the lock."""
        if self.plan.recording is not None:
            problem = self.plan.recording.take(inspection)
            with self.lock:
                self.degraded("pictures", problem)

    def degraded(self, cause: str, detail: str | None) -> None:
        """Something needs a person; None: no longer. The lock is held."""
        self._settled(self._states.clear(cause) if detail is None else self._states.degrade(cause, one_line(detail)))

    def fault(self, reason: str) -> None:
        """Rejects every open part and puts the outputs in their safe state. The lock is held."""
        self._settled(self._states.fault(one_line(reason)))
        for verdict in self.parts.fault(self.reason):
            self.decide(verdict)

    def _settled(self, changed: bool) -> None:
        """Publishes the state after it changed."""
        if changed:
            for thread in self._outputs:
                thread.state(self.state, self.reason)
            with suppress(Exception):  # decoration
                self._on_state(self.state, self.reason)
            self.lock.notify_all()

    def _thread(self, output: Output) -> OutputThread:
        cause = f"output {output.name}"

        def report(detail: str | None) -> None:
            with self.lock:
                self.degraded(cause, detail)

        def broken(reason: str) -> None:
            with self.lock:
                self.fault(reason)

        return OutputThread(output, report, broken, self.plan.heartbeat_s)
