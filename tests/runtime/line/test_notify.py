from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeirf.runtime.line.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd has it, and its name in the environment."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@edgeirf-test-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(name if request.param == "path" else "\0" + name[1:])
        link.setblocking(False)
        yield link, name


def received(link: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(link.recv(4096).decode())
        except BlockingIOError:
            return found


def test_systemd_hears_that_the_line_is_ready_alive_and_stopping(manager: tuple[socket.socket, str]) -> None:
    link, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(os.getpid())})
    assert notifier.interval_s == 2.0
    notifier.ready("RUNNING\n12 parts")
    notifier.feed()
    notifier.status("DEGRADED: light -6 %")
    notifier.stopping()
    assert received(link) == [
        "READY=1\nSTATUS=RUNNING 12 parts",
        "WATCHDOG=1",
        "STATUS=DEGRADED: light -6 %",
        "STOPPING=1",
    ]


def test_a_fast_line_feeds_the_watchdog_now_and_then(
    manager: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    link, name = manager
    clock = [100.0]
    monkeypatch.setattr("edgeirf.runtime.line.notify.time.monotonic", lambda: clock[0])
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "2000000"})
    for _ in range(100):  # ten seconds
        notifier.feed()
        clock[0] += 0.1
    assert 10 <= len(received(link)) <= 21


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "relative", "WATCHDOG_USEC": "1000000"},
        {"WATCHDOG_USEC": "1000000"},
    ],
)
def test_without_systemd_nothing_is_sent(environment: dict[str, str]) -> None:
    notifier = Notifier(environment)
    notifier.ready()
    notifier.feed()
    notifier.stopping()
    assert notifier.interval_s is None


@pytest.mark.parametrize("watchdog", ["0", "soon", "-5", ""])
def test_a_watchdog_that_is_none_asks_for_nothing(watchdog: str) -> None:
    assert Notifier({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": watchdog}).interval_s is None


def test_the_watchdog_of_another_process_is_not_fed() -> None:
    given = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}
    assert Notifier(given).interval_s is None


def test_a_manager_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1000000"})
    notifier.ready()
    notifier.feed()
