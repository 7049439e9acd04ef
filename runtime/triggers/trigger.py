"""What a trigger is: it announces parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

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


@runtime_checkable
class Restartable(Protocol):
    """A trigger that can fail while it is in use: FAULT is not left before it works again.

    >>> class Pin:
    ...     def restart(self) -> None:
    ...         raise EdgeirfError("the chip is gone")
    >>> isinstance(Pin(), Restartable)
    True
    """

    def restart(self) -> None:
        """Opens again what is gone; does nothing where all works.

        Raises:
            EdgeirfError: it is still gone.
        """
        ...
