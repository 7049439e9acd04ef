"""``edgeirf serve`` as a supervisor starts and ends it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def server(bundle: Path, path: Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own; it listens."""
    command = [sys.executable, "-m", "edgeirf", "serve", bundle, "--shm", path, "--device", "cpu", "--threads", "1"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().endswith(f"listens on {path}\n")
        yield process
    finally:
        process.kill()
        process.communicate()


def connect(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.settimeout(30)
    client.connect(str(path))
    assert client.recv(65536)
    return client


def test_killed_started_again_and_ended(tiny_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "line.sock"
    with server(tiny_path, path) as first, connect(path) as client:
        first.kill()
        assert client.recv(1) == b"", "the client hears at once that the server is lost"
        first.wait(30)
    assert path.is_socket()  # left behind
    with server(tiny_path, path) as second, connect(path) as client:
        second.send_signal(signal.SIGTERM)
        out, err = second.communicate(timeout=30)
        assert (second.returncode, out, err) == (0, "", "")
        assert client.recv(1) == b""
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "edgeirf: name the socket to listen on: edgeirf serve BUNDLE --shm SOCKET\n"),
        (("--shm", "notes.txt"), "edgeirf: notes.txt exists and is no socket: name another one\n"),
    ],
)
def test_a_socket_that_cannot_be(
    edgeirf_command: Callable[..., object],
    tiny_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    ran = edgeirf_command("serve", tiny_path, "--device", "cpu", *arguments)
    assert (ran.code, ran.err) == (2, message)
