"""Peers on loopback, and the local server in a thread."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

import edgeirf
from edgeirf.errors import EdgeirfError
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.serve.server import ShmServer

MOSQUITTO = shutil.which("mosquitto") or ("/usr/sbin/mosquitto" if Path("/usr/sbin/mosquitto").exists() else None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """``make test-line`` installs every peer, so one that is missing fails there; a GPIO chip cannot be installed."""
    report = yield
    if report.skipped and "EDGEIRF_LINE_PEERS" in os.environ and "EDGEIRF_GPIO" not in str(report.longrepr):
        report.outcome = "failed"
    return report


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Returns when the condition holds; a generous limit makes it fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Broker:
    """mosquitto on loopback. It keeps sessions and retained messages when it is killed."""

    def __init__(self, folder: Path, port: int, *lines: str) -> None:
        self.port, self._folder, self._process = port, folder, None
        folder.chmod(0o755)
        self._config = folder / "mosquitto.conf"
        keep = f"persistence true\npersistence_location {folder}/\nautosave_interval 1\nautosave_on_changes true\n"
        self._config.write_text("\n".join([f"user root\nlistener {port} 127.0.0.1\n{keep}", *lines]) + "\n")

    _process: subprocess.Popen[bytes] | None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([str(MOSQUITTO), "-c", str(self._config)], stdout=log, stderr=log)
        for _ in range(1000):
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                assert self._process.poll() is None, (self._folder / "log").read_text()
                time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def open_broker(tmp_path: Path, port: int) -> Iterator[Callable[..., Broker]]:
    """``open_broker(*lines)``: mosquitto with more lines in its configuration; it is killed at the end."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    running: list[Broker] = []

    def start(*lines: str) -> Broker:
        running.append(Broker(tmp_path, port, *lines))
        running[-1].start()
        return running[-1]

    yield start
    for broker in running:
        broker.kill()


@pytest.fixture
def broker(open_broker: Callable[..., Broker]) -> Broker:
    """mosquitto that everybody may use."""
    return open_broker("allow_anonymous true")


@pytest.fixture
def until() -> Callable[..., None]:
    """``until(condition)``: see :func:`wait_until`."""
    return wait_until


@pytest.fixture
def port() -> int:
    """A TCP port of loopback that nobody uses at this moment."""
    return free_port()


Serving = Callable[[Detector, Path], AbstractContextManager[list[EdgeirfError]]]


@pytest.fixture(scope="session")
def tiny_detector(tiny_path: Path) -> Iterator[Detector]:
    """The tiny bundle at work, for tests that leave it as it is."""
    with edgeirf.load(tiny_path, device="cpu", threads=1) as detector:
        yield detector


@pytest.fixture(scope="session")
def serving() -> Serving:
    """``serving(detector, path)``: a server in a thread that answers within the block; yields what ended it early."""

    @contextmanager
    def run(detector: Detector, path: Path) -> Iterator[list[EdgeirfError]]:
        ended: list[EdgeirfError] = []
        server = ShmServer(detector, path)

        listens = threading.Event()

        def serve() -> None:
            try:
                server.run(listens.set)
            except EdgeirfError as error:
                ended.append(error)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            assert listens.wait(30)
            yield ended
        finally:
            server.stop()
            thread.join(30)
            assert not thread.is_alive()

    return run
