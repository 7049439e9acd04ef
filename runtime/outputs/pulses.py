"""When the reject pulse fires: pure, without clock, thread or hardware."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from edgeirf.part import PartId

Fire = Literal["unless_passed", "if_passed"]


@dataclass(frozen=True)
class Due:
    """A part that has come to the ejector.

    >>> Due(part_id=7, at=12.5, fires=True).fires
    True

    Attributes:
        part_id: the part.
        at: where it was to fire: seconds or encoder steps.
        fires: the pulse is sent for it.
    """

    part_id: PartId
    at: float
    fires: bool


class Pulses:
    """A shift register of the parts between camera and ejector, by time or by encoder steps.

    Default to reject: with ``unless_passed`` the pulse fires at a part's place unless a pass for that part came before.
    With ``if_passed`` the pulse opens the way for good parts: it fires only for a pass that came before.

    >>> pulses = Pulses("unless_passed", delay=100)
    >>> pulses.expect(7, 1000), pulses.expect(8, 1050)
    (True, True)
    >>> pulses.decide(7, reject=False)
    True
    >>> [due.fires for due in pulses.advance(1149)]
    [False]
    >>> [due.fires for due in pulses.advance(1150)]
    [True]

    Positions are seconds or encoder steps; they only grow.

    Args:
        fire: the rule.
        delay: from the trigger to the ejector, in the unit of the positions.
        capacity: the largest number of parts on the way; one more is an error of the line.

    Attributes:
        too_late: verdicts that came after their part had left, or for a part that was never expected.
    """

    def __init__(self, fire: Fire, delay: float, capacity: int = 1000) -> None:
        self._fire, self._delay, self._capacity = fire, delay, capacity
        self._waiting: dict[PartId, float] = {}
        self._rejects: dict[PartId, bool] = {}
        self._left: deque[PartId] = deque(maxlen=capacity)
        self.too_late = 0

    def expect(self, part_id: PartId, position: float) -> bool:
        """A part was triggered at a position.

        Returns:
            False where it is on the way already, or no more parts fit: nothing changes then.
        """
        if part_id in self._waiting or len(self._waiting) >= self._capacity:
            return False
        self._waiting[part_id] = position + self._delay
        return True

    def decide(self, part_id: PartId, reject: bool) -> bool:
        """The verdict on a part; of several a reject counts.

        Returns:
            False where the part is not on the way: it is too late.
        """
        if part_id not in self._waiting:
            self.too_late += 1
            return False
        self._rejects[part_id] = reject or self._rejects.get(part_id, False)
        return True

    def advance(self, position: float) -> list[Due]:
        """The parts that have come to the ejector at this position, in the order of their places."""
        due = sorted(((part, at) for part, at in self._waiting.items() if at <= position), key=lambda pair: pair[1])
        found = [Due(part_id, at, self._fires(part_id)) for part_id, at in due]
        for each in found:
            del self._waiting[each.part_id]
            self._rejects.pop(each.part_id, None)
            self._left.append(each.part_id)
        return found

    def next(self) -> float | None:
        """The position of the next part, None when none is on the way."""
        return min(self._waiting.values(), default=None)

    def knows(self, part_id: PartId) -> bool:
        """Whether the part is on the way, or was one of the last that left."""
        return part_id in self._waiting or part_id in self._left

    def waits_for(self, part_id: PartId) -> bool:
        """Whether the part is on the way."""
        return part_id in self._waiting

    def _fires(self, part_id: PartId) -> bool:
        passed = not self._rejects.get(part_id, True)
        return passed if self._fire == "if_passed" else not passed
