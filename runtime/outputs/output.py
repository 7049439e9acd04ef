"""What an output is: it acts on the line, and has a safe state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

from edgeirf.part import Part, PartVerdict

State = Literal["INIT", "READY", "RUNNING", "DEGRADED", "FAULT"]
"""States of the line, as outputs publish them."""


class Output(ABC):
    """Acts on the verdicts of a line. Each output runs on a thread of its own: a slow or dead one delays no other.

    The line calls :meth:`open` once, then :meth:`expect`, :meth:`act` and :meth:`state` in order, :meth:`beat` between
    them, and :meth:`safe` and :meth:`close` at the end, also after a failure.

    >>> class Lamp(Output):
    ...     lit = True
    ...
    ...     def act(self, verdict: PartVerdict) -> None:
    ...         self.lit = verdict.reject
    ...
    ...     def safe(self) -> None:
    ...         self.lit = True
    >>> lamp = Lamp("lamp")
    >>> lamp.act(PartVerdict(part_id=1, reject=False, reason="inspected"))
    >>> lamp.lit
    False

    Args:
        name: as the configuration names it; appears in errors and statistics.

    Attributes:
        durable: what could not be delivered is kept on disk and sent later, in order: for records, not for signals.
        waiting: records that wait on disk until the peer takes them.
        problem: why they wait, one line; None where the peer takes them.
    """

    durable: bool = False
    waiting: int = 0
    problem: str | None = None

    def __init__(self, name: str) -> None:
        self.name = name

    def open(self) -> None:
        """Connects.

        Raises:
            OutputError: the peer is not there; the line tries again with back-off.
        """
        return

    def expect(self, part: Part) -> None:
        """A part was accepted, and its verdict follows: for an output that acts unless a pass comes in time.

        Raises:
            OutputError: the output cannot follow this part.
        """
        return

    @abstractmethod
    def act(self, verdict: PartVerdict) -> None:
        """Acts on one verdict.

        Raises:
            OutputError: it was not delivered.
        """

    def state(self, state: State, reason: str) -> None:
        """Publishes the state of the line, where the peer can know it."""
        return

    def beat(self, count: int) -> None:
        """Publishes the heartbeat: a counter that must change."""
        return

    @abstractmethod
    def safe(self) -> None:
        """Puts the output in its safe state: what the line takes for "reject". Never raises."""

    def close(self) -> None:
        """Disconnects. Never raises."""
        return
