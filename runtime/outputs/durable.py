"""Outputs that take records, and the text of a record."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import Any
from uuid import uuid4

from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.output import Output
from edgeirf.verdict import Region, Verdict


class DurableOutput(Output):
    """Takes records. Each record has a key: a receiver that sees a key twice has the same record twice.

    >>> class Shelf(DurableOutput):
    ...     def deliver(self, verdict: PartVerdict, key: str) -> None:
    ...         print(key, verdict.part_id)
    ...
    ...     def safe(self) -> None:
    ...         pass
    >>> Shelf("shelf").deliver(PartVerdict(part_id=7, reject=True, reason="late"), "a-1")
    a-1 7
    """

    durable = True

    @abstractmethod
    def deliver(self, verdict: PartVerdict, key: str) -> None:
        """Hands over one record and returns when the peer has it.

        Args:
            verdict: the record.
            key: the same at every attempt to deliver this record.

        Raises:
            OutputError: it was not delivered, or nobody knows.
        """

    def act(self, verdict: PartVerdict) -> None:
        """Delivers one record under a new key."""
        self.deliver(verdict, uuid4().hex)


def encode(verdict: PartVerdict, key: str | None = None) -> str:
    """The verdict as one line of JSON; with ``key`` as its ``id``."""
    record = verdict.to_json() if key is None else {"id": key, **verdict.to_json()}
    return json.dumps(record, allow_nan=False)


def decode(text: str) -> PartVerdict:
    """The verdict that :func:`encode` wrote."""
    record: dict[str, Any] = json.loads(text)
    record.pop("id", None)
    views = {name: _verdict(view) for name, view in record.pop("views").items()}
    return PartVerdict(**record, views=views)


def _verdict(view: dict[str, Any]) -> Verdict:
    return Verdict(**{**view, "regions": tuple(Region(**region) for region in view["regions"])})
