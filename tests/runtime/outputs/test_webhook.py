"""POSTs to a server of the standard library."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs import webhook
from edgeirf.runtime.outputs.factory import open_output
from edgeirf.runtime.outputs.spooled import Spooled
from edgeirf.runtime.outputs.webhook import Webhook, WebhookSettings

Make = Callable[..., PartVerdict]
Until = Callable[[Callable[[], bool]], None]


class Server(ThreadingHTTPServer):
    """Answers with ``codes`` in turn, then with 200; ``gate`` holds answers back."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.codes: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/parts"

    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.got]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.gate.wait(20)
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.codes.pop(0) if self.server.codes else 200)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        raise AssertionError("a verdict is never a GET")

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    thread = threading.Thread(target=found.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.gate.set()
    found.shutdown()
    found.server_close()
    thread.join()


def test_a_verdict_is_a_signed_post(server: Server, verdict: Make) -> None:
    output = Webhook("mes", WebhookSettings(url=server.url, secret="key"))
    output.open()
    output.deliver(verdict(7, True), "a-1")
    headers, body = server.got[0]
    assert (json.loads(body)["part_id"], json.loads(body)["id"]) == (7, "a-1")
    assert headers["Idempotency-Key"] == "a-1"
    assert headers["X-Edgeirf-Signature"] == f"sha256={hmac.new(b'key', body, hashlib.sha256).hexdigest()}"
    assert headers["Content-Type"] == "application/json"
    assert "key" not in repr(WebhookSettings(url=server.url, secret="key"))
    output.safe()
    output.close()


@pytest.mark.parametrize("code", [301, 302, 307, 400, 404, 500, 503])
def test_what_is_not_2xx_is_not_delivered(server: Server, verdict: Make, code: int) -> None:
    server.codes = [code]
    with pytest.raises(OutputError, match=f"mes: .* does not take a verdict .{code}") as error:
        Webhook("mes", WebhookSettings(url=server.url)).act(verdict(1))
    assert "\n" not in str(error.value)
    assert len(server.got) == 1


def test_after_a_failure_verdicts_fail_at_once_until_the_rest_is_over(
    server: Server, verdict: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(webhook.time, "monotonic", lambda: clock[0])
    output = Webhook("mes", WebhookSettings(url=server.url, rest_s=30))
    server.codes = [503]
    for _ in range(3):
        with pytest.raises(OutputError):
            output.act(verdict(1))
        clock[0] += 10
    assert len(server.got) == 1
    clock[0] += 0.1
    output.act(verdict(2))
    output.act(verdict(3))
    assert [body["part_id"] for body in server.bodies()] == [1, 2, 3]


def test_a_server_that_does_not_answer_is_given_up_in_time(server: Server, verdict: Make) -> None:
    server.gate.clear()
    begun = time.monotonic()
    with pytest.raises(OutputError, match="timed out"):
        Webhook("mes", WebhookSettings(url=server.url, timeout_s=0.1)).act(verdict(1))
    assert time.monotonic() - begun < 15


def test_with_a_spool_nothing_is_lost_while_the_server_is_away(
    server: Server, verdict: Make, tmp_path: Path, until: Until
) -> None:
    table = {"kind": "webhook", "url": server.url, "rest_s": 0.05, "spool": str(tmp_path / "s")}
    server.codes = [503, 500]
    output = open_output("mes", table)
    assert isinstance(output, Spooled)
    output.open()
    for number in range(5):
        output.act(verdict(number))
    until(lambda: output.waiting == 0)
    output.close()
    taken = {body["id"]: body["part_id"] for body in server.bodies()}
    assert list(taken.values()) == [0, 1, 2, 3, 4]
    assert len(server.got) == 7  # two were refused, and came again under their keys


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://x/"},
        {"url": "file:///etc/passwd"},
        {"url": "http://"},
        {"url": "http://user:word@host/"},
        {"url": "http://host/", "timeout_s": 0},
        {"url": "http://host/", "rest_s": -1},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is|holds") as error:
        WebhookSettings(**wrong)
    assert "word@" not in str(error.value)
