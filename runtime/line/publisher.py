"""Verdicts in order: to the audit trail, to every output, to the monitor."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from edgeirf.errors import EdgeirfError
from edgeirf.part import PartVerdict
from edgeirf.runtime.line.deadline import Parts
from edgeirf.runtime.line.output_thread import RECORDS_CLOSE_S, Due
from edgeirf.runtime.line.plan import LinePlan, Watch
from edgeirf.runtime.sources.frame import Frame

ALIVE_S = 5.0


@dataclass(frozen=True)
class Decided:
    """A verdict, and what it does not hold of its part.

    Attributes:
        verdict: of the part.
        deadline: ``time.monotonic()``; None where there is none.
        frames: of the part, by view, where a monitor wants them.
    """

    verdict: PartVerdict
    deadline: float | None = None
    frames: Mapping[str, Frame] = field(default_factory=dict)


class Desk(Protocol):
    """What the publisher asks of the line."""

    lock: threading.Condition
    parts: Parts

    def decide(self, verdict: PartVerdict | None) -> None:
        """Publishes a verdict."""
        ...

    def degraded(self, cause: str, detail: str | None) -> None:
        """Something needs a person; None: no longer."""
        ...

    def fault(self, reason: str) -> None:
        """The line cannot inspect."""
        ...


class Publisher:
    """Publishes verdicts on a thread of its own, and rejects parts at their deadline, whatever other threads do.

    Args:
        desk: the line.
        plan: its audit trail and its monitor.
        give: hands a verdict to every output; never waits.
        on_verdict: called after the outputs have it.
    """

    def __init__(
        self,
        desk: Desk,
        plan: LinePlan,
        give: Callable[[Due], None],
        on_verdict: Callable[[PartVerdict], None],
    ) -> None:
        self._desk, self._plan, self._give, self._on_verdict = desk, plan, give, on_verdict
        self._decided: deque[Decided] = deque()
        self._closing = False
        self._alive_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="publish", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread looked at the deadlines within :data:`ALIVE_S`; a disk that hangs holds it."""
        return time.monotonic() - self._alive_at < ALIVE_S

    def put(self, decided: Decided) -> None:
        """Takes a verdict. The lock is held."""
        self._decided.append(decided)
        self._desk.lock.notify_all()

    def close(self) -> None:
        """Publishes what is left, and ends."""
        with self._desk.lock:
            self._closing = True
            self._desk.lock.notify_all()
        self._thread.join(RECORDS_CLOSE_S)

    def _run(self) -> None:
        while True:
            try:
                decided = self._next()
                if decided is None:
                    break
                self._publish(decided)
            except Exception as error:  # the thread that rejects late parts never ends by an error
                self._desk.fault(f"publish: {type(error).__name__}: {error}")
        if self._plan.watch is not None:
            with suppress(Exception):  # decoration
                self._plan.watch.close()

    def _next(self) -> Decided | None:
        """The next verdict, as soon as there is one; None at the end."""
        with self._desk.lock:
            while True:
                self._alive_at = time.monotonic()
                for verdict in self._desk.parts.due():
                    self._desk.decide(verdict)
                if self._decided:
                    return self._decided.popleft()
                if self._closing:
                    return None
                left = (self._desk.parts.next_deadline or math.inf) - time.monotonic()
                self._desk.lock.wait(min(max(0.0, left), 1.0))

    def _publish(self, decided: Decided) -> None:
        verdict = self._audited(decided.verdict)
        self._give(Due(verdict, decided.deadline))
        with suppress(Exception):  # decoration
            self._on_verdict(verdict)
        if self._plan.watch is not None:
            self._watch(self._plan.watch, verdict, decided.frames)

    def _audited(self, verdict: PartVerdict) -> PartVerdict:
        """The verdict after the audit trail has it; a part that cannot be recorded is rejected."""
        if self._plan.audit is None:
            return verdict
        try:
            self._plan.audit.write(verdict)
            return verdict
        except Exception as error:
            reason = str(error) if isinstance(error, EdgeirfError) else f"{type(error).__name__}: {error}"
            self._desk.fault(f"audit: {reason}")
            rejected = replace(verdict, reject=True, reason="fault", detail=f"not recorded: {one_line(reason)}")
            with suppress(Exception):  # it may have been for a moment only
                self._plan.audit.write(rejected)
            return rejected

    def _watch(self, watch: Watch, verdict: PartVerdict, frames: Mapping[str, Frame]) -> None:
        try:
            detail = watch.watch(verdict, frames)
        except Exception as error:  # decoration: the inspection goes on without it
            detail = f"the monitor failed: {type(error).__name__}: {error}"
        self._desk.degraded("drift", detail)


def one_line(text: str) -> str:
    """The text without line ends.

    >>> one_line("a\\n  b")
    'a b'
    """
    return " ".join(text.split())
