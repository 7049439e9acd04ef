"""From a camera's own clock to this machine's: when was the frame taken, not when it arrived."""

from __future__ import annotations

from collections import deque

_WINDOW_S = 30.0
"""How far back arrivals count: clocks of cameras drift by up to 1 ms in this time."""
_LONGEST_S = 60.0
"""A frame that seems to be older than this shows that the camera's clock was set."""


class ClockMap:
    """Maps the times of one camera to ``time.monotonic()``.

    No frame arrives before it is taken. So the frame that came fastest fixes the offset between the clocks, and one
    that was held up in the network keeps its true age. What remains is the delay of the fastest frame.

    >>> clock = ClockMap()
    >>> [clock.monotonic(taken, arrived) for taken, arrived in [(5.0, 100.5), (5.25, 100.75), (5.5, 101.5)]]
    [100.5, 100.75, 101.0]
    """

    def __init__(self) -> None:
        self._offsets: deque[tuple[float, float]] = deque()  # (arrival, offset), offsets rising: the least comes first
        self._last = float("-inf")

    def monotonic(self, taken: float, arrived: float) -> float:
        """When a frame was taken.

        Args:
            taken: by the camera's clock, in seconds. A clock that stands or goes back starts the map anew.
            arrived: ``time.monotonic()`` of its arrival.

        Returns:
            ``time.monotonic()`` of the capture, never later than ``arrived``.
        """
        offset = arrived - taken
        if taken <= self._last or (self._offsets and offset - self._offsets[0][1] > _LONGEST_S):
            self._offsets.clear()
        self._last = taken
        while self._offsets and self._offsets[-1][1] >= offset:
            self._offsets.pop()
        self._offsets.append((arrived, offset))
        while self._offsets[0][0] < arrived - _WINDOW_S:
            self._offsets.popleft()
        return min(taken + self._offsets[0][1], arrived)
