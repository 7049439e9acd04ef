"""One output on a thread of its own: a slow or dead one delays nothing else."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from edgeirf.errors import EdgeirfError
from edgeirf.part import Part, PartVerdict
from edgeirf.runtime.line.backoff import Backoff
from edgeirf.runtime.outputs.output import Output, State

log = logging.getLogger("edgeirf")
CLOSE_S, RECORDS_CLOSE_S = 3.0, 10.0
"""What an output may take at the end, and one that keeps records. Then it is left behind; what it has not taken counts
as lost, and its thread ends with the process."""


@dataclass(frozen=True)
class Due:
    """A verdict for an output.

    Attributes:
        verdict: of a part.
        deadline: ``time.monotonic()``; None where there is none.
    """

    verdict: PartVerdict
    deadline: float | None = None


@runtime_checkable
class TakesMany(Protocol):
    """An output that takes many records as fast as one; :class:`edgeirf.runtime.outputs.spooled.Spooled` is one."""

    def act_all(self, verdicts: Sequence[PartVerdict]) -> None:
        """Takes all of them, or raises an error and takes none."""
        ...


@dataclass
class Counters:
    """What an output did.

    Attributes:
        delivered: verdicts that it took.
        lost: verdicts that it did not get: it was away, or its queue was full.
        turned: passes that it got as rejects, because the deadline had passed or the line was in FAULT.
        connects: times that it was opened.
    """

    delivered: int = 0
    lost: int = 0
    turned: int = 0
    connects: int = 0


class OutputThread:
    """Hands verdicts, states and heartbeats to one output.

    A pass that is about to be handed over after its deadline, or in FAULT, becomes a reject for outputs that act. An
    output that keeps records (``durable``) gets every verdict as it was decided.

    Args:
        output: only this thread calls it.
        report: called with None when the output works, else with the reason why it does not.
        broken: called with an error of the program; the line goes to FAULT.
        heartbeat_s: period of the heartbeat.
        room: verdicts that may wait; beyond that the oldest is lost.
        clock: that of the deadlines.
    """

    def __init__(
        self,
        output: Output,
        report: Callable[[str | None], None],
        broken: Callable[[str], None],
        heartbeat_s: float = 1.0,
        room: int = 256,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.output, self.counters = output, Counters()
        self._report, self._broken, self._clock = report, broken, clock
        self._heartbeat, self._room, self._backoff = heartbeat_s, room, Backoff()
        self._changed = threading.Condition()
        self._due: deque[Due | Part] = deque()
        self._state: tuple[State, str] = ("INIT", "")
        self._state_known = self._safe_done = True
        self._connected = self._closing = self._behind = self._waits = False
        self._beats, self._next_beat, self._next_try = 0, 0.0, 0.0
        self._thread = threading.Thread(target=self._run, name=f"output {output.name}", daemon=True)

    def start(self) -> None:
        """Starts the thread; it connects by itself."""
        self._thread.start()

    @property
    def waiting(self) -> int:
        """What waits to be handed over."""
        return len(self._due)

    def give(self, due: Due | Part) -> None:
        """Takes a verdict, or the news that a part was accepted, which is for signals; never waits."""
        if self.output.durable and isinstance(due, Part):
            return
        with self._changed:
            full = len(self._due) >= self._room
            if full:
                self.counters.lost += isinstance(self._due.popleft(), Due)
            self._due.append(due)
            self._changed.notify()
        if full:
            self._behind = True
            self._report(f"it does not keep up: {self.counters.lost} verdicts are lost to it")

    def state(self, state: State, reason: str) -> None:
        """Publishes a state; FAULT also puts the output in its safe state."""
        with self._changed:
            self._state, self._state_known = (state, reason), False
            self._safe_done = self._safe_done and state != "FAULT"
            self._changed.notify()

    def close(self) -> None:
        """Hands over what is due, puts the output in its safe state and closes it."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    @property
    def close_s(self) -> float:
        """What the output may take at the end."""
        return RECORDS_CLOSE_S if self.output.durable else CLOSE_S

    def join(self, timeout_s: float) -> bool:
        """Waits for the end after :meth:`close`; False: it is left behind, and what it has not taken is lost."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._lose()
            return False
        return True

    def _run(self) -> None:
        try:
            while not self._over:
                try:
                    self._step()
                except EdgeirfError as error:
                    self._away(str(error))
                except Exception as error:  # whatever a library raises: the line has to hear of it
                    self._away(f"{type(error).__name__}: {error}")
                    self._broken(f"output {self.output.name}: {type(error).__name__}: {error}")
        finally:
            self._lose()
            self._quietly(self.output.safe)
            self._quietly(self.output.close)

    @property
    def _over(self) -> bool:
        """Asked to close, and nothing is left to hand over, or nobody is there to take it."""
        done = not self._due and self._state_known and self._safe_done
        return self._closing and (done or not self._connected)

    def _step(self) -> None:
        """One thing: connect, safe state, state, verdict, heartbeat, or a wait."""
        if not self._connected:
            self._connect()
        elif not self._safe_done:
            self._safe_done = True
            self.output.safe()
        elif not self._state_known:
            with self._changed:
                self._state_known, (state, reason) = True, self._state
            self.output.state(state, reason)
        elif self._clock() >= self._next_beat:
            self._next_beat = self._clock() + self._heartbeat
            self._beats += 1
            self.output.beat(self._beats)
            self._look_at_spool()
        elif (due := self._take()) is not None:
            self._act(due)

    def _look_at_spool(self) -> None:
        """Says why records wait, and once that they do no longer."""
        problem = self.output.problem
        if problem is not None:
            self._report(f"{problem}; {self.output.waiting} records wait on disk")
        elif self._waits:
            self._report(None)
        self._waits = problem is not None

    def _connect(self) -> None:
        """Opens the output when it is time to. Meanwhile signals are lost: a late one would meet another part."""
        with self._changed:
            if not self.output.durable and self._next_try:
                self._lose()
            if self._clock() < self._next_try:
                self._changed.wait(max(0.0, min(self._next_try - self._clock(), 0.1)))
                return
        self.output.open()
        self._connected, self._state_known = True, False
        self.counters.connects += 1
        self._next_try, self._next_beat = 0.0, 0.0
        self._backoff.reset()
        self._report(None)

    def _lose(self) -> None:
        with self._changed:
            self.counters.lost += sum(isinstance(due, Due) for due in self._due)
            self._due.clear()

    def _take(self) -> Due | Part | None:
        with self._changed:
            if not self._due and self._state_known and self._safe_done and not self._closing:
                self._changed.wait(max(0.0, self._next_beat - self._clock()))
            return self._due.popleft() if self._due else None

    def _act(self, due: Due | Part) -> None:
        if isinstance(due, Part):
            self.output.expect(due)
            return
        verdicts = [due.verdict, *self._more()] if self.output.durable else [self._as_signal(due)]
        try:
            if isinstance(self.output, TakesMany):
                self.output.act_all(verdicts)
            else:
                self.output.act(verdicts[0])
        except BaseException:
            self.counters.lost += len(verdicts)
            raise
        self.counters.delivered += len(verdicts)
        if self._behind and not self._due:
            self._behind = False
            self._report(None)

    def _more(self) -> list[PartVerdict]:
        """What else waits, where the output takes many records at once."""
        if not isinstance(self.output, TakesMany):
            return []
        with self._changed:
            waiting = [due.verdict for due in self._due if isinstance(due, Due)]
            self._due.clear()
        return waiting

    def _as_signal(self, due: Due) -> PartVerdict:
        """The verdict, or a reject where a pass would come too late."""
        late = 0.0 if due.deadline is None else self._clock() - due.deadline
        fault = self._state[0] == "FAULT"
        if due.verdict.reject or not (late > 0 or fault):
            return due.verdict
        self.counters.turned += 1
        detail = "the line was in FAULT" if fault else "the output took it after the deadline"
        return replace(
            due.verdict,
            reject=True,
            reason="fault" if fault else "late",
            detail=detail,
            late_ms=max(0.0, late * 1e3),
        )

    def _away(self, reason: str) -> None:
        self._connected = False
        self._next_try = self._clock() + self._backoff.next()
        self._quietly(self.output.safe)
        self._quietly(self.output.close)
        self._report(reason)

    def _quietly(self, call: Callable[[], None]) -> None:
        with suppress(Exception):  # these never raise; a library may not know
            call()
