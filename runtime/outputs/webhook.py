"""Verdicts to a web server."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from edgeirf import __version__
from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.durable import DurableOutput, encode
from edgeirf.runtime.outputs.settings import RecordSettings


@dataclass(frozen=True, kw_only=True)
class WebhookSettings(RecordSettings):
    """Settings of a webhook.

    >>> WebhookSettings(url="https://mes.example/parts").timeout_s
    2.0

    Attributes:
        url: ``http://`` or ``https://``; each verdict is a POST of one JSON object.
        secret: signs the body: header ``X-Edgeirf-Signature: sha256=`` and the HMAC-SHA256 of the body; empty: none.
        timeout_s: seconds that the server has for its answer.
        rest_s: after a failure, seconds in which every verdict fails at once instead of waiting for the server.
    """

    url: str
    secret: str = field(default="", repr=False)
    timeout_s: float = 2.0
    rest_s: float = 30.0

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url is http://... or https://...")
        if parts.username or parts.password:
            raise ValueError("url holds a password: sign with secret instead")
        if self.timeout_s <= 0 or self.rest_s < 0:
            raise ValueError("timeout_s is above 0, rest_s at least 0")

    def output(self, name: str) -> Webhook:
        """The output, not yet open."""
        return Webhook(name, self)


class Webhook(DurableOutput):
    """POSTs each verdict. Delivered is what the server answers with 2xx; a redirect is not followed.

    ``Idempotency-Key`` is the key of the record: a server that has it already answers 2xx and does nothing.

    >>> output = Webhook("mes", WebhookSettings(url="http://127.0.0.1:1/", rest_s=30))
    >>> output.act(PartVerdict(part_id=7, reject=True, reason="late"))
    Traceback (most recent call last):
    edgeirf.errors.OutputError: mes: 127.0.0.1:1 does not take a verdict (...): check address and server
    """

    def __init__(self, name: str, settings: WebhookSettings) -> None:
        super().__init__(name)
        self._settings = settings
        self._peer = urlsplit(settings.url).netloc
        self._rests_until = 0.0
        self._opener = urllib.request.build_opener(_NoRedirect)

    def open(self) -> None:
        """Asks whether there is a server (HEAD); every answer of one will do.

        Raises:
            OutputError: there is none.
        """
        request = urllib.request.Request(self._settings.url, method="HEAD")  # noqa: S310
        try:
            self._opener.open(request, timeout=self._settings.timeout_s).close()
        except urllib.error.HTTPError as error:
            error.close()
        except (OSError, http.client.HTTPException) as error:
            said = error.reason if isinstance(error, urllib.error.URLError) else error
            raise OutputError(f"{self.name}: {self._peer} does not answer ({said}): check address and server") from None

    def deliver(self, verdict: PartVerdict, key: str) -> None:
        """POSTs one verdict."""
        left = self._rests_until - time.monotonic()
        if left > 0:
            raise OutputError(f"{self.name}: {self._peer} failed; the next attempt is in {left:.0f} s")
        try:
            with self._opener.open(self._request(verdict, key), timeout=self._settings.timeout_s):
                self._rests_until = 0.0
        except (OSError, http.client.HTTPException) as error:
            self._rests_until = time.monotonic() + self._settings.rest_s
            said = error.reason if isinstance(error, urllib.error.URLError) else error
            code = f"{error.code} " if isinstance(error, urllib.error.HTTPError) else ""
            text = f"{code}{said or type(error).__name__}"
            raise OutputError(
                f"{self.name}: {self._peer} does not take a verdict ({text}): check address and server"
            ) from None

    def safe(self) -> None:
        """A web server has no safe state."""
        return

    def _request(self, verdict: PartVerdict, key: str) -> urllib.request.Request:
        body = encode(verdict, key).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"edgeirf/{__version__}",
            "Idempotency-Key": key,
        }
        if self._settings.secret:
            signature = hmac.new(self._settings.secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Edgeirf-Signature"] = f"sha256={signature}"
        return urllib.request.Request(self._settings.url, body, headers)  # noqa: S310


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib turns a redirected POST into a GET: the verdict would be lost, and counted as delivered."""

    def redirect_request(self, *_: object) -> None:
        return None
