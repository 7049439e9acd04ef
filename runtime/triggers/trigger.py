"""What a trigger is: it announces parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from edgeirf.part import PartId

Announce = Callable[[PartId | None, float], bool]
"""``announce(part_id, at)``: a part is there. ``part_id`` None takes the line's next number; ``at`` is
``time.monotonic()`` of the trigger. False: the line was not ready, the part was counted and gets no verdict."""


class Trigger(Protocol):
    """Announces parts.

    >>> class Once:
    ...     def start(self, announce: Announce) -> None:
    ...         print(announce(7, 12.0))
    ...
    ...     def stop(self) -> None:
    ...         pass
    >>> Once().start(lambda part_id, at: True)
    True
    """

    def start(self, announce: Announce) -> None:
        """Announces from now on; ``announce`` may be called from any thread.

        Raises:
            EdgeirfError: the trigger cannot be opened.
        """
        ...

    def stop(self) -> None:
        """Announces nothing more. Never raises. May be called twice."""
        ...
