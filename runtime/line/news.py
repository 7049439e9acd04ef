"""States for people, shown when no lock is held: a terminal may wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress

from edgeirf.runtime.outputs.output import State


class News:
    """Keeps states until they are shown.

    >>> news = News(lambda state, reason: print(state, reason))
    >>> news.put("FAULT", "the disk is full")
    >>> news.show()
    FAULT the disk is full

    Args:
        on_state: shows one; may fail.
    """

    def __init__(self, on_state: Callable[[State, str], None]) -> None:
        self._on_state = on_state
        self._waiting: deque[tuple[State, str]] = deque()

    def put(self, state: State, reason: str) -> None:
        """Takes a state; never waits."""
        self._waiting.append((state, reason))

    def show(self) -> None:
        """Shows what waits."""
        while self._waiting:
            with suppress(Exception):  # decoration
                self._on_state(*self._waiting.popleft())
