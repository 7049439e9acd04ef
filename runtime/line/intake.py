"""Accepted parts: their numbers, and what their verdicts do not hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from edgeirf.part import Part, PartId, PartVerdict
from edgeirf.runtime.line.deadline import Parts, Ticket
from edgeirf.runtime.line.publisher import Decided
from edgeirf.runtime.sources.frame import Frame


class Intake:
    """Numbers the parts and keeps the ledger. The lock of the line is held in every call.

    >>> intake = Intake(["top"], deadline_s=0.2)
    >>> intake.open(None, 12.0)[0]
    Part(part_id=1, triggered_at=12.0, deadline=12.2)

    Args:
        views: names of the views of a part.
        deadline_s: from the trigger to the verdict; None: there is no deadline.
        room: parts that may be open at once.
        most: parts to accept at all; None: no limit.
        wall: seconds since 1970.
        keep_frames: the frames of each part are kept until its verdict.
    """

    def __init__(
        self,
        views: Sequence[str],
        deadline_s: float | None = None,
        room: int = 16,
        most: int | None = None,
        wall: Callable[[], float] = time.time,
        keep_frames: bool = False,
    ) -> None:
        self.parts = Parts(views, wall=wall, room=room)
        self._deadline_s, self._most, self._keep_frames = deadline_s, most, keep_frames
        self._numbers: dict[str | None, int] = {}
        self._open: dict[PartId, tuple[float | None, dict[str, Frame]]] = {}

    @property
    def is_complete(self) -> bool:
        """Whether as many parts are decided as were asked for."""
        return self._most is not None and self.parts.decided >= self._most

    def open(self, part_id: PartId | None, at: float, view: str | None = None) -> tuple[Part, Ticket] | None:
        """Accepts a part; None: it is not accepted.

        Args:
            part_id: None: the next number, of the view where there is one.
            at: ``time.monotonic()`` of the trigger.
            view: the only view that the part needs; None: all of them.
        """
        if self._most is not None and self.parts.accepted >= self._most:
            return None
        number = self._numbers.get(view, 0) + 1
        if part_id is None:
            part_id = number if view is None else f"{view}/{number}"
        part = Part(part_id, at, None if self._deadline_s is None else at + self._deadline_s)
        ticket = self.parts.accept(part, *([] if view is None else [view]))
        if ticket is None:
            return None
        self._numbers[view] = number
        self._open[part_id] = (part.deadline, {})
        return part, ticket

    def seen(self, ticket: Ticket, view: str, frame: Frame) -> None:
        """A part has a frame of a view."""
        part_id = self.parts.part_id(ticket)
        if self._keep_frames and part_id in self._open:
            self._open[part_id][1][view] = frame

    def decided(self, verdict: PartVerdict) -> Decided:
        """The verdict with what belongs to it."""
        return Decided(verdict, *self._open.pop(verdict.part_id))
