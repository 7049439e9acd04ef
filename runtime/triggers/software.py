"""A program in the same process announces the parts."""

from __future__ import annotations

import time

from edgeirf.part import PartId
from edgeirf.runtime.triggers.trigger import Announce


class SoftwareTrigger:
    """Announces a part when it is called.

    >>> trigger = SoftwareTrigger()
    >>> trigger.fire(7)
    False
    >>> trigger.start(lambda part_id, at: True)
    >>> trigger.fire(7)
    True
    """

    def __init__(self) -> None:
        self._announce: Announce | None = None

    @property
    def ready(self) -> bool:
        """Whether the line has started this trigger."""
        return self._announce is not None

    def start(self, announce: Announce) -> None:
        """See :class:`edgeirf.runtime.triggers.trigger.Trigger`."""
        self._announce = announce

    def stop(self) -> None:
        """Announces nothing more."""
        self._announce = None

    def fire(self, part_id: PartId | None = None, at: float | None = None) -> bool:
        """A part is there.

        Args:
            part_id: None takes the line's next number.
            at: ``time.monotonic()`` of the trigger; None: now.

        Returns:
            whether the part was accepted: then it gets exactly one verdict.
        """
        announce = self._announce
        return announce is not None and announce(part_id, time.monotonic() if at is None else at)
