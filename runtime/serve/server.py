"""The local server: frames in shared memory, verdicts on a Unix socket."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from edgeirf.errors import BackendError, EdgeirfError, FrameError
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.line.notify import Notifier
from edgeirf.runtime.serve import protocol
from edgeirf.runtime.serve.lock import listening
from edgeirf.runtime.serve.memory import ClientMemory
from edgeirf.runtime.serve.protocol import Request

MAX_CLIENTS = 16
_FAILURES = 3
"""Failures of the device one after the other after which the server ends: its supervisor starts a new one."""

log = logging.getLogger("edgeirf")


class _Client:
    """A connection and the memory that came over it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.memory: ClientMemory | None = None

    def receive(self) -> Request | None:
        """The next request; None when the client is gone.

        Raises:
            FrameError: the packet is not a request, or its memory cannot be used.
        """
        packet, descriptors, *_ = socket.recv_fds(self.connection, protocol.REQUEST_BYTES + 1, 1)
        try:
            if not packet:
                return None
            if descriptors:
                self.memory = None
                self.memory = ClientMemory(descriptors[0])
            return Request.unpack(packet)
        finally:
            _close(descriptors)


class ShmServer:
    """Serves the clients of one socket, one frame at a time, until it is stopped.

    A client that is lost, slow to read, or does not keep to the protocol is dropped; the others are served on.

    >>> with edgeirf.load("bottle.irf", device="cpu") as detector:
    ...     server = ShmServer(detector, Path("line.sock"))
    ...     server.stop()
    ...     server.run()

    Args:
        detector: inspects; stays the caller's.
        path: of the socket.
    """

    def __init__(self, detector: Detector, path: Path) -> None:
        self._detector, self._path = detector, path
        self._outlet, self._inlet = socket.socketpair()
        self._inlet.setblocking(False)
        self._failures = 0

    def run(self, listens: Callable[[], None] = lambda: None) -> None:
        """Serves until :meth:`stop`.

        Args:
            listens: called when clients can connect.

        Raises:
            UsageError: another server has the socket.
            BackendError: the socket is refused, or the device failed several times.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._outlet)
            stack.enter_context(self._inlet)
            server = stack.enter_context(listening(self._path))
            selector = stack.enter_context(selectors.DefaultSelector())
            stack.callback(_drop_all, selector)
            selector.register(self._outlet, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            notifier = Notifier()
            stack.callback(notifier.stopping)
            notifier.ready(f"listens on {self._path}")
            listens()
            while True:
                notifier.feed()
                for key, _ in selector.select(notifier.interval_s and notifier.interval_s / 2):
                    if key.fileobj is self._outlet:
                        return
                    if key.fileobj is server:
                        self._accept(server, selector)
                    else:
                        self._serve(key.data, selector)

    def stop(self) -> None:
        """Ends :meth:`run` after the frame that it inspects; for signal handlers and other threads."""
        with contextlib.suppress(OSError):
            self._inlet.send(b"x")

    def _accept(self, server: socket.socket, selector: selectors.BaseSelector) -> None:
        with contextlib.suppress(OSError):
            connection, _ = server.accept()
            connection.setblocking(False)  # a client that does not read must not stop the others
            client = _Client(connection)
            if len(selector.get_map()) - 2 >= MAX_CLIENTS or not _send(client, self._hello()):
                connection.close()
                return
            selector.register(connection, selectors.EVENT_READ, client)

    def _serve(self, client: _Client, selector: selectors.BaseSelector) -> None:
        """One request, one reply."""
        try:
            request = client.receive()
        except (OSError, FrameError) as error:
            log.warning("a client is dropped: %s", error)
            request = None
        if request is None or not _send(client, self._answer(client, request)):
            selector.unregister(client.connection)
            client.connection.close()

    def _answer(self, client: _Client, request: Request) -> bytes:
        try:
            packet = self._inspect(client, request)
            self._failures = 0
        except BackendError as error:
            self._failures += 1
            if self._failures >= _FAILURES:
                _send(client, protocol.refusal(request.sequence, error))
                raise
            return protocol.refusal(request.sequence, error)
        except EdgeirfError as error:
            return protocol.refusal(request.sequence, error)
        except MemoryError:
            return protocol.refusal(request.sequence, FrameError("the server has no memory for a frame of this size"))
        return packet

    def _inspect(self, client: _Client, request: Request) -> bytes:
        if client.memory is None or client.memory.size != request.memory_bytes:
            raise FrameError("the frame came without its shared memory")
        inspection = self._detector(client.memory.frame(request), pixel_format=request.pixel_format)
        if request.map_values:
            client.memory.write_map(request, inspection.network_map())
        return protocol.reply(request.sequence, inspection.verdict)

    def _hello(self) -> bytes:
        detector = self._detector
        settings = detector.bundle.manifest.preprocess
        info = {
            "edgeirf.model": detector.bundle.manifest.name,
            "edgeirf.bundle": detector.bundle.digest,
            "edgeirf.product": detector.product,
            "edgeirf.graph": detector.model_key,
            "edgeirf.device": detector.device,
            "edgeirf.threshold": repr(detector.threshold),
            "edgeirf.pixel_formats": ",".join(protocol.FORMATS),
        }
        return protocol.hello((settings.size[0] * settings.tiles[0], settings.size[1] * settings.tiles[1]), info)


def _send(client: _Client, packet: bytes) -> bool:
    try:
        client.connection.send(packet)
    except OSError:
        return False
    return True


def _drop_all(selector: selectors.BaseSelector) -> None:
    for key in list(selector.get_map().values()):
        if isinstance(key.data, _Client):
            key.data.connection.close()


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
