"""The server against clients that speak the protocol by hand, well and badly."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeirf.errors import BackendError, EdgeirfError
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.inspection import Inspection
from edgeirf.runtime.serve.protocol import Request
from edgeirf.runtime.serve.server import MAX_CLIENTS

Serving = Callable[[Any, Path], AbstractContextManager[list[EdgeirfError]]]
SIZE = 1 << 16


class Client:
    """A connection with its own shared memory."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.greeting = self.socket.recv(65536)
        self.memory = os.memfd_create("test", os.MFD_ALLOW_SEALING)
        os.ftruncate(self.memory, SIZE)
        fcntl.fcntl(self.memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)

    def send(self, packet: bytes | Request, *descriptors: int) -> None:
        packed = packet.pack() if isinstance(packet, Request) else packet
        socket.send_fds(self.socket, [packed], descriptors)

    def put(self, frame: np.ndarray) -> Request:
        """Writes a frame into the memory; the request for it."""
        os.pwrite(self.memory, frame.tobytes(), 0)
        return Request(1, frame.shape[1], frame.shape[0], "bgr8", 0, SIZE, 0)

    def verdict(self) -> tuple[int, int, int, float]:
        """Sequence, error, reject and score of the next reply; no reply is an error."""
        packet = self.socket.recv(65536)
        assert packet, "the server has closed the connection"
        _, sequence, error, reject, score = struct.unpack("=2I2id", packet[:24])
        return sequence, error, reject, score

    def is_dropped(self) -> bool:
        try:
            return self.socket.recv(65536) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()
        os.close(self.memory)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "line.sock"


def test_one_verdict_a_request_in_its_turn(serving: Serving, tiny_detector: Detector, path: Path, bad: Any) -> None:
    frame = bad(1)
    with serving(tiny_detector, path), Client(path) as client:
        assert b"edgeirf.model\0tiny\0" in client.greeting
        request = client.put(frame)
        client.send(request, client.memory)
        for sequence in (2, 3):  # the memory holds until another one comes
            client.send(replace(request, sequence=sequence))
        score = tiny_detector(frame).score
        assert [client.verdict() for _ in range(3)] == [(sequence, 0, 1, score) for sequence in (1, 2, 3)]
        client.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)


def test_two_clients_get_their_own_verdicts(
    serving: Serving, tiny_detector: Detector, path: Path, good: Any, bad: Any
) -> None:
    with serving(tiny_detector, path), Client(path) as one, Client(path) as two:
        for client, frame in ((one, good(1)), (two, bad(2))):
            client.send(client.put(frame), client.memory)
        assert [client.verdict()[2] for client in (two, one)] == [1, 0]


def test_a_client_that_is_lost_takes_nobody_with_it(
    serving: Serving, tiny_detector: Detector, path: Path, good: Any
) -> None:
    with serving(tiny_detector, path) as ended, Client(path) as stays:
        for _ in range(3):
            with Client(path) as leaves:
                leaves.send(leaves.put(good(1)), leaves.memory)  # its verdict has nowhere to go
        stays.send(stays.put(good(2)), stays.memory)
        assert stays.verdict()[1:3] == (0, 0)
    assert ended == []


BROKEN = struct.pack("=2I4i2Q", 1, 2, 3, 4, 5, 6, 7, 8)


@pytest.mark.parametrize("packet", [b"x", BROKEN, BROKEN + b"x", bytes(5000)])
def test_a_client_that_speaks_nonsense_is_dropped(
    serving: Serving, tiny_detector: Detector, path: Path, good: Any, packet: bytes
) -> None:
    with serving(tiny_detector, path), Client(path) as client, Client(path) as other:
        client.send(packet, client.memory)
        assert client.is_dropped()
        other.send(other.put(good(1)), other.memory)
        assert other.verdict()[1] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 65535},
        {"memory_bytes": SIZE - 1},
        {"pixel_format": "bayer_rggb8", "width": 65},
        {"map_values": 5},
        {"map_values": 64 * 64, "map_at": SIZE - 4},
    ],
)
def test_a_request_that_cannot_be_met_is_a_reject(
    serving: Serving, tiny_detector: Detector, path: Path, good: Any, changes: dict[str, Any]
) -> None:
    with serving(tiny_detector, path), Client(path) as client:
        request = client.put(good(1))
        client.send(replace(request, **changes), client.memory)
        assert client.verdict()[1:3] == (4, 1)
        client.send(request)
        assert client.verdict()[1:3] == (0, 0)


def test_a_request_before_any_memory_is_a_reject(
    serving: Serving, tiny_detector: Detector, path: Path, good: Any
) -> None:
    with serving(tiny_detector, path), Client(path) as client:
        client.send(client.put(good(1)))
        assert client.verdict()[1:3] == (4, 1)


def test_memory_that_is_none_drops_its_client(serving: Serving, tiny_detector: Detector, path: Path, good: Any) -> None:
    with serving(tiny_detector, path), Client(path) as client, open(os.devnull, "rb") as other:
        client.send(client.put(good(1)), other.fileno())
        assert client.is_dropped()


def test_too_many_clients(serving: Serving, tiny_detector: Detector, path: Path) -> None:
    with serving(tiny_detector, path):
        clients = [Client(path) for _ in range(MAX_CLIENTS)]
        with Client(path) as refused:
            assert refused.greeting == b""
        for client in clients:
            client.close()
        while True:  # until the server has seen that they are gone
            with Client(path) as late:
                if late.greeting:
                    break


class Failing:
    """A detector whose device fails on the calls that are named."""

    def __init__(self, detector: Detector, failures: set[int]) -> None:
        self.detector, self.failures, self.calls = detector, failures, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.detector, name)

    def __call__(self, *arguments: Any, **named: Any) -> Inspection:
        self.calls += 1
        if self.calls in self.failures:
            raise BackendError("the device is lost")
        return self.detector(*arguments, **named)


def test_a_device_that_fails_now_and_then_rejects_those_parts(
    serving: Serving, tiny_detector: Detector, path: Path, good: Any
) -> None:
    with serving(Failing(tiny_detector, {2, 3, 5, 6}), path) as ended, Client(path) as client:
        request = client.put(good(1))
        client.send(request, client.memory)
        for _ in range(6):
            client.send(request)
        assert [client.verdict()[1:3] for _ in range(7)] == [(0, 0), (3, 1), (3, 1), (0, 0), (3, 1), (3, 1), (0, 0)]
    assert ended == []


def test_a_device_that_is_lost_ends_the_server_for_its_supervisor(
    serving: Serving, tiny_detector: Detector, path: Path, good: Any
) -> None:
    with serving(Failing(tiny_detector, set(range(1, 9))), path) as ended, Client(path) as client:
        request = client.put(good(1))
        client.send(request, client.memory)
        for _ in range(2):
            client.send(request)
        assert [client.verdict()[1:3] for _ in range(3)] == [(3, 1)] * 3
        assert client.is_dropped()
    assert [str(error) for error in ended] == ["the device is lost"]
    assert not path.exists()


def test_systemd_hears_of_the_server(
    serving: Serving, tiny_detector: Detector, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        with serving(tiny_detector, path):
            assert manager.recv(4096) == f"READY=1\nSTATUS=listens on {path}".encode()
            assert [manager.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3  # also while no frame comes
        while (said := manager.recv(4096)) == b"WATCHDOG=1":
            pass
        assert said == b"STOPPING=1"


def test_stopping_a_server_that_has_ended(tiny_detector: Detector, path: Path) -> None:
    from edgeirf.runtime.serve.server import ShmServer

    server = ShmServer(tiny_detector, path)
    server.stop()
    server.run()
    server.stop()
