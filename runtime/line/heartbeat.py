"""The heartbeat of a peer: a counter that must change. Pure."""

from __future__ import annotations


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
