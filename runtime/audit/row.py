"""One row of the audit, and the hash that links it to the row before."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgeirf import __version__
from edgeirf.deciding import deciding_view
from edgeirf.part import PartId, PartVerdict
from edgeirf.runtime.audit.model import Model

Kind = Literal["start", "model", "part", "action"]
FIRST = "0" * 64
"""The hash before the first row."""
FOLLOWS = "follows "
"""What the first row says of the file before it, of which it has the last hash."""


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """A row: the verdict on a part, an action of an operator, the start of a run, or what inspects a view from then on.

    >>> AuditRow(row=1, kind="action", at=0.0, operator="anna", detail="acknowledged").part_id is None
    True

    Attributes:
        row: counts from 1 without a gap.
        kind: ``part``, ``action``, ``start`` or ``model``.
        at: seconds since 1970 when the row was written.
        part_id, sequence, triggered_at, decided_at, late_ms, reject, reason, detail: of the verdict on a part;
            ``detail`` is also what an operator did.
        view: the view that decides, see :func:`edgeirf.deciding.deciding_view`.
        score, p_value, threshold, model: of that view.
        model_sha256, precision, device, engine: of what inspected that view.
        software: version of edgeirf.
        operator: who acted.
        views: the verdicts of all views as JSON.
        previous: hash of the row before.
        hash: SHA-256 of ``previous`` and every column before it.
    """

    row: int
    kind: Kind
    at: float
    part_id: PartId | None = None
    sequence: int | None = None
    triggered_at: float | None = None
    decided_at: float | None = None
    late_ms: float | None = None
    reject: int | None = None
    reason: str | None = None
    detail: str | None = None
    view: str | None = None
    score: float | None = None
    p_value: float | None = None
    threshold: float | None = None
    model: str | None = None
    model_sha256: str | None = None
    precision: str | None = None
    device: str | None = None
    engine: str | None = None
    software: str = __version__
    operator: str | None = None
    views: str | None = None
    previous: str = FIRST
    hash: str = ""

    def digest(self) -> str:
        """What :attr:`hash` must be."""
        values = [getattr(self, name) for name in COLUMNS if name != "hash"]
        text = json.dumps(values, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


COLUMNS = tuple(field.name for field in dataclasses.fields(AuditRow))
_NUMBERS = ("at", "triggered_at", "decided_at", "late_ms", "score", "p_value", "threshold")
SCHEMA = ", ".join(
    f"{name} {'integer primary key' if name == 'row' else 'real' if name in _NUMBERS else ''}" for name in COLUMNS
)
"""Columns of the table: a part id keeps its type, number or text."""


def part_row(verdict: PartVerdict, models: Mapping[str, Model], row: int, at: float, previous: str) -> AuditRow:
    """The row of a part, sealed.

    Args:
        verdict: on the part.
        models: what inspects each view; a view that is not in it has an empty model.
        row, at, previous: see :class:`AuditRow`.
    """
    name = deciding_view(verdict)
    view = None if name is None else verdict.views[name]
    model = models.get(name or "", Model())
    return sealed(
        AuditRow(
            row=row,
            kind="part",
            at=at,
            part_id=verdict.part_id,
            sequence=verdict.sequence,
            triggered_at=verdict.triggered_at,
            decided_at=verdict.decided_at,
            late_ms=verdict.late_ms,
            reject=int(verdict.reject),
            reason=verdict.reason,
            detail=verdict.detail,
            view=name,
            score=None if view is None else view.score,
            p_value=None if view is None else view.p_value,
            threshold=None if view is None else view.threshold,
            model=None if view is None else view.model,
            model_sha256=model.sha256,
            precision=model.precision,
            device=model.device,
            engine=model.engine,
            views=json.dumps({key: each.to_json() for key, each in verdict.views.items()}),
            previous=previous,
        )
    )


def sealed(row: AuditRow) -> AuditRow:
    """The row as SQLite gives it back, with its hash."""
    values: dict[str, Any] = {name: _storable(name, getattr(row, name)) for name in COLUMNS}
    kept = AuditRow(**values)
    return dataclasses.replace(kept, hash=kept.digest())


def _storable(name: str, value: float | int | str | None) -> float | int | str | None:
    """SQLite has no -0.0, no NaN, no integer beyond 64 bits and no text with half a surrogate pair."""
    if name in _NUMBERS:
        return float(value) + 0.0 if isinstance(value, (int, float)) and math.isfinite(value) else None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
