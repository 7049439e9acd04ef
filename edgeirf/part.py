"""A part on the line, and what the line decided on it: the contract between triggers, pipeline, outputs and records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgeirf.verdict import Verdict

PartId = int | str

Reason = Literal["inspected", "late", "error", "missing_view", "stale", "fault"]
"""Why a part has its verdict:

- ``inspected``: every view was scored before the deadline,
- ``late``: the deadline came first: reject,
- ``error``: a view could not be inspected: reject,
- ``missing_view``: not every view had come by the deadline: reject,
- ``stale``: the only frame was taken too long before the trigger: reject,
- ``fault``: the line was in FAULT: reject.
"""


@dataclass(frozen=True)
class Part:
    """A part that a trigger announced.

    >>> Part(part_id=7, triggered_at=12.0, deadline=12.2).part_id
    7

    Attributes:
        part_id: number or name; the same one comes back with the verdict.
        triggered_at: ``time.monotonic()`` of the trigger.
        deadline: ``time.monotonic()`` by which the verdict must be out; None where the line has no deadline.
    """

    part_id: PartId
    triggered_at: float
    deadline: float | None = None


@dataclass(frozen=True)
class PartVerdict:
    """What the line decided on one part: plain data. Exactly one for every part that was accepted.

    >>> verdict = Verdict(reject=False, score=12.5, p_value=0.42, threshold=31.0)
    >>> PartVerdict(part_id=7, reject=False, reason="inspected", views={"top": verdict}).to_json()["reject"]
    False

    Attributes:
        part_id: the part.
        reject: True unless every view was inspected in time and passed.
        reason: see :data:`Reason`.
        views: the verdict of each view (camera or station) by its name; views that never came are missing.
        detail: one line for people, where ``reason`` is not ``inspected``.
        triggered_at, decided_at: seconds since 1970.
        late_ms: how long after its deadline the verdict was out; 0 when in time.
        sequence: counts the verdicts of this run from 1: a gap shows that one is missing.
    """

    part_id: PartId
    reject: bool
    reason: Reason
    views: Mapping[str, Verdict] = field(default_factory=dict)
    detail: str | None = None
    triggered_at: float | None = None
    decided_at: float | None = None
    late_ms: float = 0.0
    sequence: int = 0

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain JSON values."""
        return {
            "part_id": self.part_id,
            "reject": self.reject,
            "reason": self.reason,
            "detail": self.detail,
            "triggered_at": self.triggered_at,
            "decided_at": self.decided_at,
            "late_ms": round(self.late_ms, 3),
            "sequence": self.sequence,
            "views": {name: verdict.to_json() for name, verdict in self.views.items()},
        }
