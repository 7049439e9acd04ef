"""Results to clients that read them over OPC UA."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.loop_thread import LoopThread, quiet
from edgeirf.runtime.outputs.opcua_server import Endpoint, OpcUaServer
from edgeirf.runtime.outputs.plc import PlcOutput
from edgeirf.runtime.outputs.settings import OutputSettings

_START_S, _WRITE_S = 60.0, 5.0


@dataclass(frozen=True, kw_only=True)
class OpcUaSettings(OutputSettings):
    """Settings of OPC UA: the line is the server.

    >>> OpcUaSettings(host="192.168.1.10").security
    'none'

    Attributes:
        host: this computer's address on the network of the clients.
        port: TCP port.
        security: ``none``, or ``Basic256Sha256``: signed and encrypted; then nothing else is offered.
        pki_folder: for ``Basic256Sha256``: ``own.der`` and ``own.pem`` are created when they are missing (valid for a
            year); with certificates in ``trusted/`` only clients that have one of them may connect.
        user, password: what a client must give; empty: every client may connect. Needs ``Basic256Sha256``.
        nodeset: file ``Opc.Ua.MachineVision.NodeSet2.xml`` of the OPC Foundation: adds a VisionSystem of OPC 40100-1.
    """

    host: str = "127.0.0.1"
    port: int = 4840
    security: Literal["none", "Basic256Sha256"] = "none"
    pki_folder: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    nodeset: str = ""

    def __post_init__(self) -> None:
        if "@" in self.host or "/" in self.host:
            raise ValueError("host is a name or an IP address alone: user and password have keys of their own")
        if not 0 < self.port < 65536:
            raise ValueError("port is 1 to 65535")
        if self.user and self.security == "none":
            raise ValueError("a password needs security = 'Basic256Sha256': else everybody on the network reads it")
        if self.security != "none" and not self.pki_folder:
            raise ValueError("security needs pki_folder, a folder for certificates")

    def output(self, name: str) -> OpcUa:
        """The output, not yet open."""
        return OpcUa(name, self)


class OpcUa(PlcOutput):
    """Serves typed nodes, and one event a result: ``InspectionResultType`` of the object ``edgeirf``.

    Node ids are ``s=edgeirf.State`` ... in the namespace ``urn:edgeirf``; see docs/outputs.md. Nodes are written one by
    one: a client that needs values that belong together takes the event, or the node ``Result.Json``.

    >>> output = OpcUa("scada", OpcUaSettings(port=48401))
    >>> output.state("READY", "")
    >>> output.shown().state
    'READY'
    """

    def __init__(self, name: str, settings: OpcUaSettings) -> None:
        super().__init__(name)
        self._settings = settings
        self._loop: LoopThread | None = None
        self._server: OpcUaServer | None = None
        self._order = asyncio.Lock()

    def open(self) -> None:
        """Starts the server: one to two seconds, and about 100 MB of memory.

        Raises:
            OutputError: address, certificate or companion model cannot be used.
        """
        self.close()
        quiet("asyncua")
        loop, self._order = LoopThread(f"opcua {self.name}"), asyncio.Lock()
        chosen = self._settings
        pki = chosen.pki_folder if chosen.security == "Basic256Sha256" else ""
        place = Endpoint(chosen.host, chosen.port, pki, chosen.user, chosen.password, chosen.nodeset)
        server = OpcUaServer(place, self.hear)
        try:
            socket.create_server((self._settings.host, self._settings.port)).close()  # asyncua finds out late
            loop.call(server.start(), _START_S)
        except Exception as error:  # asyncua raises what it likes
            with suppress(Exception):
                loop.call(server.stop(), _WRITE_S)
            loop.stop()
            where = f"{self._settings.host}:{self._settings.port}"
            said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise OutputError(
                f"{self.name}: cannot serve OPC UA on {where} ({said}): check address, port, pki_folder and nodeset"
            ) from None
        self._loop, self._server = loop, server
        self._changed()

    def act(self, verdict: PartVerdict) -> None:
        """Shows the result and sends its event."""
        super().act(verdict)
        loop, server = self._loop, self._server
        if loop is None or server is None:
            raise OutputError(f"{self.name}: the OPC UA server is not running")
        try:
            loop.call(self._publish(server, verdict), _WRITE_S)
        except Exception as error:  # asyncua raises what it likes
            raise OutputError(
                f"{self.name}: OPC UA does not take the result: {type(error).__name__}: {error}"
            ) from None

    def close(self) -> None:
        """Ends the server."""
        loop, server, self._loop, self._server = self._loop, self._server, None, None
        if loop is not None and server is not None:
            with suppress(Exception):  # close never raises; the thread ends either way
                loop.call(self._publish(server), _WRITE_S)
                loop.call(server.stop(), _WRITE_S)
            loop.stop()

    def _changed(self) -> None:
        if self._loop is not None and self._server is not None:
            self._loop.start(self._publish(self._server))

    async def _publish(self, server: OpcUaServer, verdict: PartVerdict | None = None) -> None:
        async with self._order:
            await server.show(self.shown())
            if verdict is not None:
                await server.report(verdict)
