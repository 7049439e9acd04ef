"""Who says nothing any more: the heartbeat of a peer, a counter that must change; a device. Pure."""

from __future__ import annotations

HANG_S = 10.0
"""A device that works on one frame for so long hangs, or for ten deadlines where that is longer."""


class Heartbeat:
    """Watches a counter: one that stands is as bad as none.

    >>> heartbeat = Heartbeat(timeout_s=2.0, now=0.0)
    >>> heartbeat.heard(5, now=1.0)
    >>> heartbeat.heard(5, now=3.5)
    >>> heartbeat.is_silent(now=2.9), heartbeat.is_silent(now=3.1)
    (False, True)

    Args:
        timeout_s: the peer is silent after so many seconds without a change; 0: it is not watched.
        now: seconds of a monotonic clock, as in every call.
    """

    def __init__(self, timeout_s: float, now: float) -> None:
        self.timeout_s = timeout_s
        self._count: int | None = None
        self._changed_at = now

    def heard(self, count: int, now: float) -> None:
        """The counter as the peer gives it."""
        if count != self._count:
            self._count, self._changed_at = count, now

    def restart(self, now: float) -> None:
        """The peer gets the whole time again."""
        self._changed_at = now

    def is_silent(self, now: float) -> bool:
        """Whether the counter has not changed for too long."""
        return self.timeout_s > 0 and now - self._changed_at > self.timeout_s


def silence(heartbeat: Heartbeat, busy_s: float, deadline_s: float | None, now: float) -> str | None:
    """Who says nothing any more, and what to do; None: nobody.

    >>> silence(Heartbeat(2.0, now=0.0), busy_s=0.1, deadline_s=None, now=2.5)
    'the heartbeat of the PLC has not changed for 2 s: check the PLC and the cable'

    Args:
        heartbeat: of the peer.
        busy_s: how long the device has worked on what it has.
        deadline_s: of a part.
        now: as of the heartbeat.
    """
    limit = max(HANG_S, 10 * (deadline_s or 0))
    if busy_s > limit:
        return f"the device has not answered for {limit:g} s: restart the program, run `edgeirf doctor`"
    if heartbeat.is_silent(now):
        return f"the heartbeat of the PLC has not changed for {heartbeat.timeout_s:g} s: check the PLC and the cable"
    return None
