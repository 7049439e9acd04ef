"""Exactly one verdict for every part that was accepted, and never a pass after the deadline: pure, without threads."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgeirf.part import Part, PartId, PartVerdict, Reason
from edgeirf.verdict import Verdict

Ticket = int
"""Names one accepted part. A part id may come again (a PLC counts to 65535 and starts anew), a ticket does not."""

Absent = Literal["missing_view", "stale"]


@dataclass
class _Open:
    """A part whose verdict is due."""

    part: Part
    triggered_at: float
    needs: tuple[str, ...]
    views: dict[str, Verdict] = field(default_factory=dict)
    captured: set[str] = field(default_factory=set)
    absent: dict[str, tuple[Absent, str]] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)


class Parts:
    """The parts whose verdict is due.

    >>> from edgeirf.part import Part
    >>> parts = Parts(["top"], clock=lambda: 12.1, wall=lambda: 1e9)
    >>> ticket = parts.accept(Part(part_id=7, triggered_at=12.0, deadline=12.2))
    >>> decided = parts.scored(ticket, "top", Verdict(reject=False, score=12.5, p_value=0.42, threshold=31.0))
    >>> decided.part_id, decided.reject, decided.reason
    (7, False, 'inspected')

    Each method that can decide a part gives its verdict, and None or nothing while it is not decided. What comes for a
    part that is decided is ignored and counted.

    Args:
        views: names of the views that a part needs.
        clock: seconds of a monotonic clock, that of the parts' times.
        wall: seconds since 1970.
        room: parts that may be open at once.

    Attributes:
        accepted: parts accepted so far.
        decided: verdicts given so far; ``accepted - decided`` parts are open.
        refused: parts that were not accepted, because there was no room or the same part id was open.
        ignored: views that came for a part that was decided.
    """

    def __init__(
        self,
        views: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        room: int = 64,
    ) -> None:
        self._views = tuple(views)
        self._clock, self._wall, self._room = clock, wall, room
        self._open: dict[Ticket, _Open] = {}
        self.accepted = self.decided = self.refused = self.ignored = 0

    def __len__(self) -> int:
        return len(self._open)

    @property
    def next_deadline(self) -> float | None:
        """The earliest deadline of the open parts; None when there is none."""
        return min((one.part.deadline for one in self._open.values() if one.part.deadline is not None), default=None)

    def accept(self, part: Part, *views: str) -> Ticket | None:
        """Takes a part: from now on it gets exactly one verdict. None: it is not taken.

        Args:
            part: what the trigger announced.
            views: the views that it needs; none: all of them.
        """
        if len(self._open) >= self._room or any(one.part.part_id == part.part_id for one in self._open.values()):
            self.refused += 1
            return None
        self.accepted += 1
        self._open[self.accepted] = _Open(
            part, self._wall() - (self._clock() - part.triggered_at), views or self._views
        )
        return self.accepted

    def is_open(self, ticket: Ticket) -> bool:
        """Whether the verdict of the part is still due."""
        return ticket in self._open

    def part_id(self, ticket: Ticket) -> PartId | None:
        """The id of an open part."""
        one = self._open.get(ticket)
        return None if one is None else one.part.part_id

    def deadline(self, ticket: Ticket) -> float:
        """When the verdict of a part is due, of :func:`time.monotonic`; infinite without a deadline."""
        one = self._open.get(ticket)
        return math.inf if one is None or one.part.deadline is None else one.part.deadline

    def captured(self, ticket: Ticket, view: str) -> None:
        """A frame of the view is there and not yet scored."""
        if ticket in self._open:
            self._open[ticket].captured.add(view)

    def stale(self, ticket: Ticket, view: str) -> None:
        """The only frame of the view so far was taken too long before the trigger."""
        if ticket in self._open:
            self._open[ticket].stale.add(view)

    def scored(self, ticket: Ticket, view: str, verdict: Verdict) -> PartVerdict | None:
        """A view was inspected, or could not be."""
        one = self._open.get(ticket)
        if one is None:
            self.ignored += 1
            return None
        one.captured.add(view)
        one.views[view] = verdict
        return self._settle(ticket, one)

    def absent(self, ticket: Ticket, view: str, reason: Absent, detail: str) -> PartVerdict | None:
        """A view will not come."""
        one = self._open.get(ticket)
        if one is None:
            self.ignored += 1
            return None
        one.absent[view] = (reason, detail)
        return self._settle(ticket, one)

    def due(self) -> list[PartVerdict]:
        """Rejects every part whose deadline has passed, the earliest first."""
        now = self._clock()
        over = [(one.part.deadline, ticket) for ticket, one in self._open.items() if _over(one.part, now)]
        return [self._overdue(ticket, self._open[ticket], now) for _, ticket in sorted(over)]

    def fault(self, detail: str) -> list[PartVerdict]:
        """Rejects every open part."""
        now = self._clock()
        return [self._decide(ticket, now, True, "fault", detail) for ticket in list(self._open)]

    def _settle(self, ticket: Ticket, one: _Open) -> PartVerdict | None:
        """The verdict, when every view has been scored or is absent."""
        now = self._clock()
        if not all(view in one.views or view in one.absent for view in one.needs):
            return None
        if _over(one.part, now):
            return self._overdue(ticket, one, now)
        for view, (reason, detail) in one.absent.items():
            return self._decide(ticket, now, True, reason, f"{view}: {detail}")
        for view, verdict in one.views.items():
            if verdict.status == "error":
                return self._decide(ticket, now, True, "error", f"{view}: {verdict.error}")
        return self._decide(ticket, now, any(verdict.reject for verdict in one.views.values()), "inspected", None)

    def _overdue(self, ticket: Ticket, one: _Open, now: float) -> PartVerdict:
        for view, (reason, detail) in one.absent.items():
            return self._decide(ticket, now, True, reason, f"{view}: {detail}")
        missing = [view for view in one.needs if view not in one.captured]
        if one.stale.intersection(missing):
            detail = f"the only frame of {', '.join(missing)} was taken before the trigger"
            return self._decide(ticket, now, True, "stale", detail)
        if missing:
            detail = f"no frame of {', '.join(missing)} before the deadline"
            return self._decide(ticket, now, True, "missing_view", detail)
        waiting = [view for view in one.needs if view not in one.views]
        detail = f"{', '.join(waiting)}: not scored before the deadline" if waiting else "scored after the deadline"
        return self._decide(ticket, now, True, "late", detail)

    def _decide(self, ticket: Ticket, now: float, reject: bool, reason: Reason, detail: str | None) -> PartVerdict:
        one = self._open.pop(ticket)
        self.decided += 1
        return PartVerdict(
            part_id=one.part.part_id,
            reject=reject,
            reason=reason,
            views=dict(one.views),
            detail=detail,
            triggered_at=one.triggered_at,
            decided_at=self._wall(),
            late_ms=0.0 if one.part.deadline is None else max(0.0, (now - one.part.deadline) * 1e3),
            sequence=self.decided,
        )


def _over(part: Part, now: float) -> bool:
    return part.deadline is not None and now > part.deadline
