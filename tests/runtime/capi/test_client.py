"""The C client of the local server."""

from __future__ import annotations

import ctypes
import math
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import edgeirf
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.imaging.pixel_format import frame_shape
from edgeirf.runtime.serve.protocol import FORMATS, hello
from edgeirf.verdict import Region

ARGUMENT, RUNTIME, FRAME, SCORE, SERVER = 1, 3, 4, 5, 6
WIDTH, HEIGHT = 80, 72


@pytest.fixture
def connect(open_line: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """``connect(**options)``: the server of this test, through the C library."""
    return lambda **options: open_line(tmp_path / "line.sock", server=True, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "line.sock"


def pixels(pixel_format: str, seed: int = 0) -> np.ndarray:
    """A frame with noise and a bright square, ``WIDTH`` x ``HEIGHT``."""
    wide = pixel_format.endswith("16")
    noise = np.random.default_rng(seed).normal(128, 6, frame_shape((HEIGHT, WIDTH), pixel_format))
    noise[10:40, 20:60] = 250
    return (np.clip(noise, 0, 255) * (256 if wide else 1)).astype(np.uint16 if wide else np.uint8)


@pytest.mark.parametrize("number", range(len(FORMATS)), ids=FORMATS)
def test_every_format_has_the_verdict_of_python(
    serving: Any, tiny_detector: Detector, connect: Callable[..., Any], path: Path, number: int
) -> None:
    frame = pixels(FORMATS[number])
    with serving(tiny_detector, path), connect() as line:
        verdict, regions = line.inspect(frame.tobytes(), WIDTH, HEIGHT, number)
    want = tiny_detector(frame, pixel_format=FORMATS[number]).verdict
    assert (verdict.score, verdict.p_value, bool(verdict.reject)) == (want.score, want.p_value, want.reject)
    assert (verdict.threshold, verdict.pixel_threshold) == (want.threshold, want.pixel_threshold)
    assert [Region(r.x, r.y, r.width, r.height, r.area, r.peak) for r in regions] == list(want.regions)


def test_padded_rows_and_the_map(
    serving: Any, tiny_detector: Detector, connect: Callable[..., Any], path: Path, host: ModuleType
) -> None:
    frame = pixels("bgr8")
    padded = np.zeros((HEIGHT, WIDTH * 3 + 5), np.uint8)
    padded[:, : WIDTH * 3] = frame.reshape(HEIGHT, -1)
    found = np.zeros((64, 64), np.float32)
    verdict = host.Verdict(struct_size=48)
    with serving(tiny_detector, path), connect() as line:
        where = (padded.ctypes.data, WIDTH, HEIGHT, padded.strides[0], host.BGR8)
        code = line.library.edgeirf_inspect(
            line.handle, *where, ctypes.byref(verdict), None, 0, found.ctypes.data, found.size
        )
        assert (code, line.info("edgeirf.model"), line.info("edgeirf.device")) == (0, "tiny", "cpu")
        assert line.info("edgeirf.bundle") == tiny_detector.bundle.digest
    np.testing.assert_array_equal(found, tiny_detector(frame).network_map())


def test_what_the_server_refuses_is_a_reject_with_its_reason(
    serving: Any, tiny_detector: Detector, connect: Callable[..., Any], path: Path, host: ModuleType
) -> None:
    with serving(tiny_detector, path), connect() as line:
        with pytest.raises(host.EdgeirfError, match="the device is lost") as caught:
            lose_device(tiny_detector, lambda: line.inspect(pixels("bgr8").tobytes(), WIDTH, HEIGHT, host.BGR8))
        assert caught.value.code == RUNTIME
        assert line.inspect(pixels("bgr8").tobytes(), WIDTH, HEIGHT, host.BGR8)[0].reject


def lose_device(detector: Detector, then: Callable[[], object]) -> None:
    """Runs ``then`` while the device fails."""

    def fail(*_: object) -> None:
        raise edgeirf.BackendError("the device is lost")

    detector.executor.submit, before = fail, detector.executor.submit  # type: ignore[method-assign, assignment]
    try:
        then()
    finally:
        detector.executor.submit = before  # type: ignore[method-assign]


def test_a_server_that_is_lost_and_comes_back(
    serving: Any, tiny_detector: Detector, connect: Callable[..., Any], path: Path, host: ModuleType
) -> None:
    frame = (pixels("bgr8").tobytes(), WIDTH, HEIGHT, host.BGR8)
    with serving(tiny_detector, path):
        line = connect()
        score = line.inspect(*frame)[0].score
    for reason in ("the server", "no server answers"):
        with pytest.raises(host.EdgeirfError, match=reason) as caught:
            line.inspect(*frame)
        assert caught.value.code == SERVER
    with serving(tiny_detector, path), line:
        assert line.inspect(*frame)[0].score == score


def test_a_server_that_comes_back_with_another_bundle(
    serving: Any,
    tiny_detector: Detector,
    tiny_bundle: Callable[..., Path],
    connect: Callable[..., Any],
    path: Path,
    host: ModuleType,
) -> None:
    frame = (pixels("bgr8").tobytes(), WIDTH, HEIGHT, host.BGR8)
    with serving(tiny_detector, path):
        line = connect()
    other = edgeirf.load(tiny_bundle(path.with_name("other.irf"), name="other"), device="cpu", threads=1)
    with other, serving(other, path), line:
        for reason in ("the server", "the server has another bundle or other settings now: connect again"):
            with pytest.raises(host.EdgeirfError, match=reason):
                line.inspect(*frame)
        assert line.info("edgeirf.model") == "tiny"
        with connect() as fresh:
            assert fresh.info("edgeirf.model") == "other"


def test_a_server_of_another_product(
    serving: Any, tiny_detector: Detector, connect: Callable[..., Any], path: Path, host: ModuleType
) -> None:
    with serving(tiny_detector, path):
        with pytest.raises(host.EdgeirfError, match="the server inspects part, not lid: start it with --product") as e:
            connect(product=b"lid")
        assert e.value.code == ARGUMENT
        connect(product=b"part").close()


class Slow:
    """A detector that waits before it inspects, as often as it is told."""

    def __init__(self, detector: Detector) -> None:
        self.detector, self.gate = detector, threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.detector, name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.gate.wait(30)
        return self.detector(*arguments, **named)


def test_a_late_verdict_is_never_that_of_the_next_part(
    serving: Any, tiny_detector: Detector, connect: Callable[..., Any], path: Path, host: ModuleType, good: Any
) -> None:
    slow = Slow(tiny_detector)
    with serving(slow, path), connect(timeout_ms=300) as line:
        with pytest.raises(host.EdgeirfError, match="no verdict within 300 ms") as caught:
            line.inspect(good(1).tobytes(), 64, 64, host.BGR8)  # a good part, whose verdict comes too late
        assert caught.value.code == SERVER
        slow.gate.set()
        for _ in range(3):
            verdict, _ = line.inspect(pixels("bgr8").tobytes(), WIDTH, HEIGHT, host.BGR8)
            assert verdict.reject


def test_threads_and_clients_at_the_same_time(
    serving: Any, tiny_detector: Detector, connect: Callable[..., Any], path: Path, host: ModuleType, good: Any
) -> None:
    frames = [(good(1).tobytes(), 64, 64, host.BGR8), (pixels("bgr8").tobytes(), WIDTH, HEIGHT, host.BGR8)]
    wrong: list[int] = []
    with serving(tiny_detector, path), connect() as shared, connect() as own:

        def inspect(line: Any, kind: int) -> None:
            wrong.extend(kind for _ in range(40) if line.inspect(*frames[kind])[0].reject != kind)

        threads = [threading.Thread(target=inspect, args=(line, kind)) for line in (shared, own) for kind in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.mark.parametrize(("name", "code", "message"), [("none", SERVER, "answers"), ("s" * 120, ARGUMENT, "107")])
def test_no_server(
    open_line: Callable[..., Any], host: ModuleType, tmp_path: Path, name: str, code: int, message: str
) -> None:
    with pytest.raises(host.EdgeirfError, match=message) as caught:
        open_line(tmp_path / name, server=True)
    assert caught.value.code == code


GREETING = hello((64, 64), {"edgeirf.model": "x"})
REPLY = struct.pack("=2I2i4d4i", 0x31524945, 1, 0, 0, 1.0, 1.0, 2.0, 2.0, 0, 0, 0, 0)


def changed(packet: bytes, at: int, value: int) -> bytes:
    return packet[:at] + struct.pack("=i", value) + packet[at + 4 :]


@contextmanager
def foreign(path: Path, greeting: bytes, reply: bytes) -> Iterator[None]:
    """A server that says what it is given, once for each client."""

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, suppress(OSError):  # the client may go before
                client.send(greeting)
                client.recv(100)
                client.send(reply)

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(30)


@pytest.mark.parametrize(
    "greeting",
    [
        b"hello",
        changed(GREETING, 0, 7),
        changed(GREETING, 4, 2),
        changed(GREETING, 8, 0),
        changed(GREETING, 8, 2**31 - 1),
        changed(GREETING, 16, -1),
        changed(GREETING, 16, 2**31 - 1),
    ],
)
def test_a_server_of_another_kind(connect: Callable[..., Any], path: Path, host: ModuleType, greeting: bytes) -> None:
    with foreign(path, greeting, b""), pytest.raises(host.EdgeirfError, match=r"edgeirf server|another protocol") as e:
        connect()
    assert e.value.code == SERVER


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (REPLY, 0),
        (b"", SERVER),
        (b"x", SERVER),
        (changed(REPLY, 0, 0), SERVER),
        (changed(REPLY, 4, 2), SERVER),  # the verdict of another request
        (changed(REPLY, 52, -1), SERVER),
        (changed(REPLY, 52, 2**31 - 1), SERVER),
        (changed(REPLY, 56, 100), SERVER),
        (changed(REPLY, 56, -24), SERVER),
        (REPLY[:16] + struct.pack("=d", math.nan) + REPLY[24:], SCORE),
        (changed(REPLY, 8, 99), 99),
    ],
)
def test_a_server_that_lies(connect: Callable[..., Any], path: Path, host: ModuleType, reply: bytes, code: int) -> None:
    with foreign(path, GREETING, reply), connect() as line:
        verdict = host.Verdict(struct_size=48)
        frame = (pixels("bgr8").tobytes(), WIDTH, HEIGHT, 0, host.BGR8)
        assert line.library.edgeirf_inspect(line.handle, *frame, ctypes.byref(verdict), None, 0, None, 0) == code
        assert (verdict.reject, verdict.error) == (int(code != 0), code)
