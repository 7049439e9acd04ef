"""A line at work: parts in, exactly one verdict each out, and never a silent failure."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from edgeirf.errors import EdgeirfError
from edgeirf.part import Part, PartId, PartVerdict
from edgeirf.runtime.inspection import Inspection
from edgeirf.runtime.line.backoff import Backoff
from edgeirf.runtime.line.deadline import Ticket
from edgeirf.runtime.line.engine import Engine
from edgeirf.runtime.line.heartbeat import Heartbeat, silence
from edgeirf.runtime.line.inspect_thread import Job
from edgeirf.runtime.line.intake import Intake
from edgeirf.runtime.line.news import News
from edgeirf.runtime.line.output_thread import OutputThread
from edgeirf.runtime.line.output_threads import OutputThreads
from edgeirf.runtime.line.plan import LinePlan
from edgeirf.runtime.line.publisher import Publisher, one_line
from edgeirf.runtime.line.states import States
from edgeirf.runtime.outputs.output import State
from edgeirf.runtime.sources.frame import Frame
from edgeirf.runtime.triggers.handshake import Controlled
from edgeirf.runtime.triggers.trigger import Restartable, Trigger

log = logging.getLogger("edgeirf")
POLL_S = 0.1
"""How often :meth:`Line.run` looks at what a signal handler may set without a lock."""
FINISH_S = 1.0
"""What a stopped line waits for the parts that are open; the others are rejected."""


class Line:
    """Runs a :class:`LinePlan`. See ``docs/fail_safe.md`` for what it promises.

    >>> from edgeirf.runtime.line.capture_thread import Station
    >>> from edgeirf.runtime.line.engine import DetectorPlan
    >>> from edgeirf.runtime.sources import open_source
    >>> belt = Station("top", lambda allocate: open_source("test://?count=3&size=64"))
    >>> plan = LinePlan([belt], {"": DetectorPlan(lambda: edgeirf.load("bottle.irf", device="cpu"))})
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
        self.plan, self._news = plan, News(on_state)
        self.lock = threading.Condition()
        views = [station.name for station in plan.stations]
        self._intake = Intake(views, plan.deadline_s, plan.room, max_parts, wall, plan.watch is not None)
        self.parts = self._intake.parts
        self.missed = 0
        """Triggers that were not accepted."""
        self._states, self._engine = States(), self._new_engine()
        self._stopping = False
        self._operator: str | None = None
        self._dropped, self._losses = 0, Counter[str]()
        self._heartbeat = Heartbeat(plan.peer_timeout_s, time.monotonic())
        self._outputs = OutputThreads(plan.outputs, self.degraded, self.fault, plan.heartbeat_s)
        self._publisher = Publisher(self, plan, self._outputs.give, on_verdict)

    @property
    def state(self) -> State:
        """The state now."""
        return self._states.state

    @property
    def reason(self) -> str:
        """Why it is DEGRADED or in FAULT."""
        return self._states.reason

    @property
    def dropped(self) -> int:
        """Frames that no part took."""
        return self._dropped + self._engine.dropped

    @property
    def losses(self) -> Counter[str]:
        """How often each camera went away."""
        return self._losses + Counter(self._engine.losses)

    @property
    def outputs(self) -> Sequence[OutputThread]:
        """The outputs with their counters."""
        return self._outputs.threads

    def announce(self, part_id: PartId | None, at: float) -> bool:
        """A part is there; see :data:`edgeirf.runtime.triggers.trigger.Announce`."""
        with self.lock:
            ticket = self.open_part(part_id, at)
            if ticket is None:
                self.missed += 1
                if self._states.takes_parts:  # an output that rejects by default rejects this part too
                    self._outputs.give(Part(f"refused/{self.missed}", at))
                return False
            self._engine.want(ticket, at)
            return True

    def acknowledge(self, operator: str) -> bool:
        """An operator has seen the fault: the line opens everything anew. False: there is no fault."""
        with self.lock:
            if self.state == "FAULT" and self._operator is None:
                self._operator = operator
                self.lock.notify_all()
            return self.state == "FAULT"

    def heard(self, count: int) -> None:
        """The heartbeat of the peer: a counter that must change."""
        with self.lock:
            self._heartbeat.heard(count, time.monotonic())

    def stop(self) -> None:
        """Ends :meth:`run` soon; for signal handlers too, because it takes no lock."""
        self._stopping = True

    def run(self) -> EdgeirfError | None:
        """Runs the line.

        Returns:
            what ended a file early, or why the line is in FAULT at the end; None where nothing did.

        Raises:
            EdgeirfError: a camera, detector or trigger cannot be opened at the start.
        """
        self._publisher.start()
        self._outputs.start()
        try:
            self._open()
            self._start_trigger(self.plan.trigger)
            while not self._await_end():
                self._await_recovery()
            return EdgeirfError(self.reason) if self.state == "FAULT" else self._engine.problem
        finally:
            self._close()

    def _open(self) -> None:
        """INIT to RUNNING, with a new engine."""
        engine = self._new_engine()
        try:
            engine.open()
            self.plan.prepare()
        except BaseException:
            engine.close()
            raise
        with self.lock:
            self._dropped += self._engine.dropped
            self._losses.update(self._engine.losses)
            self._engine = engine
            self._heartbeat.restart(time.monotonic())
            self._settled(self._states.opened())
            self._settled(self._states.started())
            engine.start()

    def _start_trigger(self, trigger: Trigger | None) -> None:
        if isinstance(trigger, Controlled):
            trigger.control = self
        if trigger is not None:
            trigger.start(self.announce)

    def _new_engine(self) -> Engine:
        plan = self.plan
        return Engine(self, plan.stations, plan.detectors, free=plan.trigger is None, together=plan.together)

    def _await_end(self) -> bool:
        """Waits for the end (True) or a fault (False)."""
        while not self._stopping:
            self._turn()
            with self.lock:
                done = self._intake.is_complete or (self._engine.finished and len(self.parts) == 0)
                if self.state == "FAULT" or done:
                    break
                self.lock.wait(POLL_S)
                silent = silence(self._heartbeat, self._engine.busy_s, self.plan.deadline_s, time.monotonic())
                if silent is not None:
                    self.fault(silent)
        with self.lock:
            fault = self.state == "FAULT" and not self._stopping
            if not fault:
                self._finish_parts()
        self._engine.close()
        self._news.show()
        return not fault

    def _finish_parts(self) -> None:
        """The open parts get their verdict while the cameras still run; after :data:`FINISH_S` they are rejected."""
        self._settled(self._states.stopped())
        until = time.monotonic() + FINISH_S
        while len(self.parts) and time.monotonic() < until:
            self.lock.wait(0.02)
        for verdict in self.parts.fault("the line was stopped"):
            self.decide(verdict)

    def _await_recovery(self) -> None:
        """FAULT until everything is open again."""
        backoff = Backoff(0.5, 30.0)
        while not self._stopping and self.state == "FAULT":
            until = time.monotonic() + backoff.next() if self.plan.self_recovery else math.inf
            while not self._stopping and self._operator is None and time.monotonic() < until:
                self._turn()
                with self.lock:
                    self.lock.wait(POLL_S)
            if not self._stopping:
                self._leave_fault()

    def _leave_fault(self) -> None:
        """Opens everything anew. What fails then is a fault again."""
        if self._operator is not None:
            log.warning("%s acknowledges: %s", self._operator, self.reason)
            if self.plan.audit is not None:
                with suppress(EdgeirfError):  # a full disk must not keep the line in FAULT for ever
                    self.plan.audit.action(self._operator, f"acknowledged: {self.reason}")
        with self.lock:
            self._operator = None
            self._settled(self._states.leave_fault())
        try:
            if isinstance(self.plan.trigger, Restartable):
                self.plan.trigger.restart()
            self._open()
        except Exception as error:
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
        self._outputs.close()
        if self.plan.recording is not None:
            self.plan.recording.close()
        if self.plan.audit is not None:
            self.plan.audit.close()
        self._news.show()

    def open_part(self, part_id: PartId | None, at: float, view: str | None = None) -> Ticket | None:
        """Accepts a part. The lock is held."""
        opened = self._intake.open(part_id, at, view) if self._states.takes_parts else None
        if opened is not None:
            self._outputs.give(opened[0])
        return None if opened is None else opened[1]

    def decide(self, verdict: PartVerdict | None) -> None:
        """Publishes a verdict, where there is one. The lock is held."""
        if verdict is not None:
            self._publisher.put(self._intake.decided(verdict))

    def seen(self, ticket: Ticket, view: str, frame: Frame) -> None:
        """Keeps a part's frame for the monitor. The lock is held."""
        self._intake.seen(ticket, view, frame)

    def inspected(self, job: Job, inspection: Inspection) -> None:
        """Keeps an inspection's pictures. Called without the lock."""
        if self.plan.recording is not None:
            self.degraded("pictures", self.plan.recording.take(inspection))

    def degraded(self, cause: str, detail: str | None) -> None:
        """Something needs a person; None: no longer."""
        with self.lock:
            states = self._states
            self._settled(states.clear(cause) if detail is None else states.degrade(cause, one_line(detail)))

    def fault(self, reason: str) -> None:
        """Rejects every open part and puts the outputs in their safe state."""
        with self.lock:
            self._settled(self._states.fault(one_line(reason)))
            for verdict in self.parts.fault(self.reason):
                self.decide(verdict)

    def _settled(self, changed: bool) -> None:
        """Publishes the state after it changed. What people see comes later, without the lock: a terminal may wait."""
        if changed:
            self._outputs.state(self.state, self.reason)
            self._news.put(self.state, self.reason)
            self.lock.notify_all()

    def _turn(self) -> None:
        """What is done several times a second, without the lock."""
        if self._publisher.is_alive:
            self.plan.alive()
        self._news.show()
