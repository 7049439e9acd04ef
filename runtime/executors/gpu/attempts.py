"""When to try a refused capture again."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_PAUSE = 1024
"""Frames between two tries, at most: a capture that is refused for good costs a thousandth of a frame."""


@dataclass
class Attempts:
    """Tries to capture one graph: the pause after each refused one is twice as long.

    >>> attempts = Attempts()
    >>> attempts.refused()
    >>> [attempts.due() for _ in range(3)]
    [False, True, True]

    Attributes:
        refusals: how often the driver or the engine refused.
        pause: frames to wait for.
    """

    refusals: int = 0
    pause: int = 0

    def due(self) -> bool:
        """Whether this frame tries; called once a frame."""
        self.pause = max(0, self.pause - 1)
        return self.pause == 0

    def refused(self) -> None:
        """Waits longer for the next try."""
        self.refusals += 1
        self.pause = min(2**self.refusals, LONGEST_PAUSE)
