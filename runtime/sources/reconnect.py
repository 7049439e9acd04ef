"""A camera that is gone comes back: how often to try, how long, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from time import monotonic
from typing import Literal

from edgeirf.errors import UsageError


@dataclass(frozen=True)
class Reconnect:
    """When to open a camera again that is gone.

    >>> delays = Reconnect(first=0.5, longest=3.0).delays()
    >>> [next(delays) for _ in range(5)]
    [0.5, 1.0, 2.0, 3.0, 3.0]

    Attributes:
        first: seconds before the first attempt; each later one waits twice as long.
        longest: seconds that the wait grows to.
        limit: seconds without the camera after which the source ends with an error; None tries for ever.

    Raises:
        UsageError: a wait of no time, or a limit below it.
    """

    first: float = 0.5
    longest: float = 10.0
    limit: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.longest or (self.limit is not None and self.limit <= 0):
            raise UsageError("reconnect: first is above 0, longest at least first, limit above 0")

    def delays(self) -> Iterator[float]:
        """Seconds to wait before each attempt, without end."""
        delay = self.first
        while delay < self.longest:
            yield delay
            delay *= 2
        yield from repeat(self.longest)


@dataclass(frozen=True)
class SourceEvent:
    """A live source lost its camera, has it back, or has given up.

    >>> SourceEvent("lost", "camera 0", "no frame for 2 s", at=12.0).state
    'lost'

    Attributes:
        state: what happened.
        source: name of the source, as it may be shown.
        detail: one line; no user, password or token.
        at: ``time.monotonic()``.
    """

    state: Literal["lost", "back", "gave_up"]
    source: str
    detail: str
    at: float = field(default_factory=monotonic)


Listener = Callable[[SourceEvent], None]
"""Hears the events, on the thread that watches the camera; must return soon."""
