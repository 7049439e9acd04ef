"""What peers ask of a line over a network: triggers, acknowledgements, heartbeats. Pure, apart from one lock."""

from __future__ import annotations

import threading
import time
from typing import Any

from edgeirf.part import PartId
from edgeirf.runtime.triggers.handshake import Control
from edgeirf.runtime.triggers.trigger import Announce

Answer = tuple[int, dict[str, Any]]
"""A status of HTTP, and an object for JSON."""
MAX_BODY = 65_536
"""Bytes of a request at most."""


class Requests:
    """Answers requests, whatever carries them.

    >>> requests = Requests()
    >>> requests.answer("trigger", {"part_id": 7})[0]
    503
    >>> requests.announce = lambda part_id, at: True
    >>> requests.answer("trigger", {"part_id": 7})
    (202, {'accepted': True, 'part_id': 7})

    Attributes:
        announce: of the line; None: triggers are refused.
        control: the line, for acknowledgements and heartbeats.
    """

    def __init__(self) -> None:
        self.announce: Announce | None = None
        self.control: Control | None = None
        self._number, self._lock = 0, threading.Lock()

    def answer(self, request: str, body: dict[str, Any]) -> Answer:
        """What a request is answered.

        Args:
            request: ``trigger``, ``ack`` or ``heartbeat``.
            body: an object of JSON.
        """
        if request == "trigger":
            return self._trigger(body.get("part_id"))
        if request == "ack" and self.control is not None:
            return self._acknowledge(self.control, body.get("operator"))
        if request == "heartbeat" and self.control is not None:
            return self._heartbeat(self.control, body.get("count"))
        return 404, {"error": "the requests trigger, ack and heartbeat are there"}

    def _trigger(self, asked: object) -> Answer:
        at, announce = time.monotonic(), self.announce
        if asked is not None and (type(asked) not in (int, str) or len(str(asked)) > 100):
            return 400, {"error": "part_id is a whole number or a text of up to 100 characters"}
        with self._lock:
            self._number += asked is None
            part_id: PartId = self._number if asked is None else asked  # type: ignore[assignment]
        if announce is not None and announce(part_id, at):
            return 202, {"accepted": True, "part_id": part_id}
        return 503, {"accepted": False, "part_id": part_id, "error": "the line is not ready: no verdict will come"}

    @staticmethod
    def _acknowledge(control: Control, operator: object) -> Answer:
        if not isinstance(operator, str) or not 0 < len(operator) <= 100:
            return 400, {"error": "operator is the name of who acknowledges, up to 100 characters"}
        return 200, {"acknowledged": control.acknowledge(operator)}

    @staticmethod
    def _heartbeat(control: Control, count: object) -> Answer:
        if type(count) is not int:
            return 400, {"error": "count is a whole number that changes"}
        control.heard(count)
        return 200, {}
