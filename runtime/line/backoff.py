"""How long to wait before something is tried again."""

from __future__ import annotations


class Backoff:
    """Waits that double, up to a limit.

    >>> backoff = Backoff(first_s=0.5, longest_s=1.5)
    >>> [backoff.next() for _ in range(4)]
    [0.5, 1.0, 1.5, 1.5]

    Args:
        first_s, longest_s: seconds.
    """

    def __init__(self, first_s: float = 0.2, longest_s: float = 10.0) -> None:
        self._first, self._longest = first_s, longest_s
        self._wait = first_s

    def next(self) -> float:
        """Seconds to wait now."""
        wait, self._wait = self._wait, min(2 * self._wait, self._longest)
        return wait

    def reset(self) -> None:
        """It worked: the next wait is the first one again."""
        self._wait = self._first
