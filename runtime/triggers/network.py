"""Triggers, acknowledgements and heartbeats over HTTP, and the state to read."""

from __future__ import annotations

import hmac
import json
import logging
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from edgeirf.errors import UsageError
from edgeirf.runtime.triggers.requests import MAX_BODY, Answer, Requests
from edgeirf.runtime.triggers.settings import HttpSettings
from edgeirf.runtime.triggers.trigger import Announce

log = logging.getLogger("edgeirf")
_TIMEOUT_S = 5.0


class HttpTrigger(Requests):
    """Listens for requests with a JSON body.

    ``POST /trigger`` with ``{"part_id": 7}`` or ``{}`` answers 202, or 503 when the line is not ready: then the part
    gets no verdict. ``POST /ack`` with ``{"operator": "Ana"}`` acknowledges a FAULT. ``POST /heartbeat`` with
    ``{"count": 5}`` is the peer's heartbeat. ``GET /state`` answers state and reason.

    A page in a browser cannot trigger: a request must be ``application/json`` and may not name an ``Origin``.

    >>> import json, urllib.request
    >>> trigger = HttpTrigger(HttpSettings(port=0))
    >>> trigger.start(lambda part_id, at: True)
    >>> url = f"http://127.0.0.1:{trigger.port}/trigger"
    >>> headers = {"Content-Type": "application/json"}
    >>> request = urllib.request.Request(url, b'{"part_id": 7}', headers)
    >>> json.load(urllib.request.urlopen(request))
    {'accepted': True, 'part_id': 7}
    >>> trigger.stop()

    Attributes:
        port: of the server after :meth:`start`.
    """

    def __init__(self, settings: HttpSettings) -> None:
        super().__init__()
        self.port = settings.port
        self._settings = settings
        self._server: ThreadingHTTPServer | None = None

    def start(self, announce: Announce) -> None:
        """Starts the server.

        Raises:
            UsageError: the address or port cannot be used.
        """
        self.announce = announce
        where = (self._settings.host, self._settings.port)
        try:
            handler = type("Handler", (_Handler,), {"trigger": self, "token": self._settings.token})
            self._server = _Server(where, handler, self._broken)
        except OSError as error:
            reason = error.strerror or error
            raise UsageError(
                f"trigger: cannot listen on {where[0]}:{where[1]} ({reason}): choose another port"
            ) from None
        self.port = self._server.server_address[1]
        log.warning("trigger: POST /trigger on %s:%d", where[0], self.port)
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="trigger http", daemon=True).start()

    def stop(self) -> None:
        """Ends the server."""
        self.announce = None
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def _broken(self, reason: str) -> None:
        log.error(reason)
        if self.control is not None:
            self.control.fault(reason)

    def post(self, path: str, body: dict[str, Any]) -> Answer:
        """What a request is answered: HTTP status and JSON."""
        return self.answer(path.removeprefix("/"), body)

    def get(self, path: str) -> Answer:
        """As :meth:`post`."""
        if path != "/state":
            return 404, {"error": "GET /state is there"}
        control = self.control
        return 200, {"state": control.state, "reason": control.reason} if control else {"state": "INIT", "reason": ""}


class _Server(ThreadingHTTPServer):
    """A server whose errors are a FAULT of the line: the request had no answer."""

    daemon_threads = True

    def __init__(self, where: tuple[str, int], handler: type[_Handler], broken: Callable[[str], None]) -> None:
        super().__init__(where, handler)
        self._broken = broken

    def handle_error(self, request: object, client_address: object) -> None:
        """Called for an exception in a request, while it is being handled."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # a peer that hangs up is its own matter
            self._broken(f"trigger: {type(error).__name__}: {error}")


class _Handler(BaseHTTPRequestHandler):
    """One request to a trigger."""

    trigger: ClassVar[HttpTrigger]
    token: ClassVar[str]

    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT_S

    def do_GET(self) -> None:
        refused = self._refused()
        self._answer(*(refused or self.trigger.get(self.path)))

    def do_POST(self) -> None:
        refused = self._refused() or self._no_json()
        if refused:
            self.close_connection = True  # the body is not read
            self._answer(*refused)
            return
        try:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        except ValueError:
            body = None
        wrong = (400, {"error": "the body is no JSON object"})
        self._answer(*(self.trigger.post(self.path, body) if isinstance(body, dict) else wrong))

    def _refused(self) -> Answer | None:
        given = self.headers.get("Authorization", "")
        if self.token and not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            return 401, {"error": "Authorization: Bearer TOKEN is missing or wrong"}
        return (403, {"error": "requests of web pages are refused"}) if self.headers.get("Origin") else None

    def _no_json(self) -> Answer | None:
        length = self.headers.get("Content-Length", "")
        if self.headers.get_content_type() != "application/json":
            return 415, {"error": "send the header Content-Type: application/json"}
        if not length.isascii() or not length.isdecimal() or int(length) > MAX_BODY:
            return 413, {"error": f"Content-Length is up to {MAX_BODY}"}
        return None

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *values: object) -> None:
        return
