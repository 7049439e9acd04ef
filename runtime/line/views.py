"""Which frame belongs to which part: pure, without threads. One queue a camera."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edgeirf.runtime.line.deadline import Ticket
from edgeirf.runtime.sources.frame import Frame


@dataclass(frozen=True)
class Match:
    """A part and its frame of this view.

    >>> Match(1, None).frame is None
    True

    Attributes:
        ticket: the part.
        frame: None: a later part took the next frame, so none comes for this one.
    """

    ticket: Ticket
    frame: Frame | None


def captured_at(frame: Frame) -> float:
    """``time.monotonic()`` of the capture where the camera says it, else of the arrival in memory."""
    taken: float | None = getattr(frame, "captured_monotonic", None)
    return frame.clock if taken is None else taken


class View:
    """Frames of one camera, and the parts that wait for one.

    A live camera: a frame belongs to the last part whose trigger came before it. A part that was overtaken gets no
    frame: a frame of the next part would be the wrong one. A file: each part takes the next frame.

    >>> view = View("top", live=False, alive=lambda ticket: True)
    >>> view.want(1, 12.0)
    []
    >>> [match.ticket for match in view.frame(Frame(None, 0, "a.png"))]
    [1]

    Args:
        name: of the camera.
        live: the newest frame counts.
        alive: whether the verdict of a part is still due.
        staleness_s: a frame that was taken so long before the trigger still belongs to the part.

    Attributes:
        dropped: frames that no part took.
        stale: the part that waits and was offered only a frame from before its trigger; None when there is none.
    """

    def __init__(self, name: str, live: bool, alive: Callable[[Ticket], bool], staleness_s: float = 0.0) -> None:
        self.name, self.live = name, live
        self._alive, self._staleness = alive, staleness_s
        self._parts: deque[tuple[Ticket, float]] = deque()
        self.kept: Frame | None = None
        self.dropped = 0
        self.stale: Ticket | None = None

    def want(self, ticket: Ticket, triggered_at: float) -> list[Match]:
        """A part needs a frame of this view."""
        kept = self.kept
        if kept is not None and not self._parts and (not self.live or self._fits(kept, triggered_at)):
            self.kept = None
            return [Match(ticket, kept)]
        if kept is not None and self.live:
            self.kept, self.stale = None, ticket
            self.dropped += 1
        self._parts.append((ticket, triggered_at))
        return []

    def frame(self, frame: Frame) -> list[Match]:
        """A frame came."""
        self._parts = deque(part for part in self._parts if self._alive(part[0]))
        if not self._parts:
            self.dropped += self.kept is not None
            self.kept = frame
            return []
        if not self.live:
            return [Match(self._parts.popleft()[0], frame)]
        return self._match_live(frame)

    def _match_live(self, frame: Frame) -> list[Match]:
        taken = captured_at(frame)
        before = sum(triggered_at <= taken for _, triggered_at in self._parts)
        if before == 0 and self._fits(frame, self._parts[0][1]):
            before = 1
        if before == 0:
            self.dropped, self.stale = self.dropped + 1, self._parts[0][0]
            return []
        tickets = [self._parts.popleft()[0] for _ in range(before)]
        return [*(Match(ticket, None) for ticket in tickets[:-1]), Match(tickets[-1], frame)]

    def _fits(self, frame: Frame, triggered_at: float) -> bool:
        return captured_at(frame) >= triggered_at - self._staleness
