"""The HTTP trigger: what it answers to callers, and to those who should not call."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from edgeirf.errors import UsageError
from edgeirf.part import PartId
from edgeirf.runtime.triggers.network import MAX_BODY, HttpTrigger
from edgeirf.runtime.triggers.settings import HttpSettings


class Line:
    state, reason = "FAULT", "broken"

    def __init__(self) -> None:
        self.ready = True
        self.got: list[Any] = []

    def announce(self, part_id: PartId | None, at: float) -> bool:
        if part_id == 666:
            raise RuntimeError("planted")
        self.got.append(part_id)
        return self.ready

    def acknowledge(self, operator: str) -> bool:
        self.got.append(operator)
        return True

    def heard(self, count: int) -> None:
        self.got.append(count)

    def fault(self, reason: str) -> None:
        self.got.append(reason)


JSON = {"Content-Type": "application/json"}


def ask(trigger: HttpTrigger, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", trigger.port, timeout=10)
    connection.request(method, path, body, JSON | {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def trigger(line: Line) -> Iterator[HttpTrigger]:
    trigger = HttpTrigger(HttpSettings(port=0))
    trigger.control = line  # type: ignore[assignment]
    trigger.start(line.announce)
    yield trigger
    trigger.stop()


@pytest.mark.parametrize(
    ("path", "body", "status", "answer", "got"),
    [
        ("/trigger", b'{"part_id": 7}', 202, {"accepted": True, "part_id": 7}, [7]),
        ("/trigger", b'{"part_id": "A-7"}', 202, {"accepted": True, "part_id": "A-7"}, ["A-7"]),
        ("/trigger", b"{}", 202, {"accepted": True, "part_id": 1}, [1]),
        ("/ack", b'{"operator": "Ana"}', 200, {"acknowledged": True}, ["Ana"]),
        ("/heartbeat", b'{"count": 5}', 200, {}, [5]),
        ("/trigger", b'{"part_id": 1.5}', 400, None, []),
        ("/trigger", b'{"part_id": true}', 400, None, []),
        ("/trigger", b"[1]", 400, None, []),
        ("/trigger", b"{", 400, None, []),
        ("/trigger", b"\xff", 400, None, []),
        ("/ack", b"{}", 400, None, []),
        ("/heartbeat", b'{"count": "x"}', 400, None, []),
        ("/other", b"{}", 404, None, []),
    ],
)
def test_requests_are_answered(
    trigger: HttpTrigger, line: Line, path: str, body: bytes, status: int, answer: Any, got: list[Any]
) -> None:
    found = ask(trigger, "POST", path, body)
    assert found[0] == status
    assert found[1] == answer if answer is not None else "error" in found[1]
    assert line.got == got


def test_a_line_that_is_not_ready_answers_that_no_verdict_will_come(trigger: HttpTrigger, line: Line) -> None:
    line.ready = False
    status, answer = ask(trigger, "POST", "/trigger", b'{"part_id": 7}')
    assert (status, answer["accepted"], answer["part_id"]) == (503, False, 7)


def test_the_state_can_be_read(trigger: HttpTrigger) -> None:
    assert ask(trigger, "GET", "/state") == (200, {"state": "FAULT", "reason": "broken"})
    assert ask(trigger, "GET", "/other")[0] == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "text/plain"}, 415),
        ({"Origin": "http://example.com"}, 403),
        ({"Content_Length": str(MAX_BODY + 1)}, 413),
        ({"Content_Length": "-1"}, 413),
    ],
)
def test_web_pages_and_large_bodies_are_refused(
    trigger: HttpTrigger, line: Line, headers: dict[str, str], status: int
) -> None:
    assert ask(trigger, "POST", "/trigger", b"{}", **headers)[0] == status
    assert line.got == []


def test_a_token_is_asked_for() -> None:
    trigger = HttpTrigger(HttpSettings(port=0, token="secret"))
    trigger.start(lambda part_id, at: True)
    try:
        assert ask(trigger, "POST", "/trigger", b"{}")[0] == 401
        assert ask(trigger, "POST", "/trigger", b"{}", Authorization="Bearer wrong")[0] == 401
        assert ask(trigger, "POST", "/trigger", b"{}", Authorization="Bearer secret")[0] == 202
    finally:
        trigger.stop()


def test_a_port_that_is_taken_is_one_line(trigger: HttpTrigger) -> None:
    other = HttpTrigger(HttpSettings(port=trigger.port))
    with pytest.raises(UsageError, match="choose another port"):
        other.start(lambda part_id, at: True)
    trigger.stop()
    trigger.stop()


def test_an_error_of_the_program_is_a_fault_and_no_traceback(
    trigger: HttpTrigger, line: Line, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        ask(trigger, "POST", "/trigger", b'{"part_id": 666}')
    assert ask(trigger, "POST", "/trigger", b'{"part_id": 7}')[0] == 202
    assert line.got == ["trigger: RuntimeError: planted", 7]
    assert "Traceback" not in capfd.readouterr().err
