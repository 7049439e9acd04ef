"""What systemd hears: the line is ready, alive, stopping. Its protocol is a datagram; no library is needed.

A service of ``Type=notify`` counts as started when :meth:`Notifier.ready` is called; with ``WatchdogSec=`` systemd
restarts it when :meth:`Notifier.feed` is not called in time. Without systemd nothing is sent. See sd_notify(3).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Speaks to systemd, or to nobody.

    >>> notifier = Notifier({})
    >>> notifier.ready("running"), notifier.interval_s
    (None, None)

    Args:
        environment: of the process; None takes :data:`os.environ`.

    Attributes:
        interval_s: longest time between two calls of :meth:`feed`, half of what systemd waits; None without a watchdog.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        given = os.environ if environment is None else environment
        self._address = _address(given.get("NOTIFY_SOCKET", ""))
        self.interval_s = _watchdog(given) if self._address else None
        self._fed = -float("inf")

    def ready(self, status: str = "") -> None:
        """The line inspects parts."""
        self._send("READY=1", status)

    def status(self, status: str) -> None:
        """One line for ``systemctl status``."""
        self._send("", status)

    def feed(self) -> None:
        """The line is alive. May be called for every part: most calls send nothing."""
        now = time.monotonic()
        if self.interval_s is not None and now - self._fed >= self.interval_s / 2:
            self._fed = now
            self._send("WATCHDOG=1")

    def stopping(self, status: str = "") -> None:
        """The line ends."""
        self._send("STOPPING=1", status)

    def _send(self, state: str, status: str = "") -> None:
        if self._address is None:
            return
        lines = [state] if state else []
        lines += [f"STATUS={' '.join(status.split())}"] if status else []
        # systemd may restart itself, and a full queue must not stop the line.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.setblocking(False)
            link.sendto("\n".join(lines).encode(errors="replace"), self._address)


def _address(text: str) -> str | None:
    """``/run/...``, or ``@name`` for an abstract socket; None for nobody."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else None


def _watchdog(given: Mapping[str, str]) -> float | None:
    text, process = given.get("WATCHDOG_USEC", ""), given.get("WATCHDOG_PID", "")
    if not text.isdecimal() or int(text) == 0 or (process and process != str(os.getpid())):
        return None
    return int(text) / 1e6 / 2
