"""Results to a PLC that reads them from a data block over S7."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeirf.errors import OutputError
from edgeirf.runtime.outputs.loop_thread import quiet
from edgeirf.runtime.outputs.plc import PlcOutput
from edgeirf.runtime.outputs.registers import COMMANDS, WORDS, inputs_of, words_of
from edgeirf.runtime.outputs.settings import OutputSettings

if TYPE_CHECKING:
    from snap7.server import Server

_READ, _WRITTEN = 2 * WORDS, 2 * COMMANDS
"""Bytes that the PLC reads, and the bytes behind them that it writes."""


@dataclass(frozen=True, kw_only=True)
class S7Settings(OutputSettings):
    """Settings of S7: the line serves a data block, the PLC gets and puts it.

    >>> S7Settings(host="192.168.1.10").block
    1

    Attributes:
        host: this computer's IP address on the network of the PLC. S7 has no password: keep it on that network.
        port: TCP port; 102 is what a PLC expects, and needs rights.
        block: number of the data block.
    """

    host: str = "127.0.0.1"
    port: int = 102
    block: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536 or not 1 <= self.block < 65536:
            raise ValueError("port and block are 1 to 65535")

    def output(self, name: str) -> S7:
        """The output, not yet open."""
        return S7(name, self)


class S7(PlcOutput):
    """Serves one data block: the register map in bytes 0 to 63 (high byte first), commands in bytes 64 to 71.

    The answer to one read belongs together. A PLC writes one area a request: the library takes only the first of
    several. See docs/outputs.md.

    >>> output = S7("plc", S7Settings(port=10201))
    >>> output.state("READY", "")
    >>> output.shown().state
    'READY'
    """

    def __init__(self, name: str, settings: S7Settings) -> None:
        super().__init__(name)
        self._settings = settings
        self._memory = bytearray(_READ + _WRITTEN)
        self._server: Server | None = None
        self._writing = threading.Lock()

    def open(self) -> None:
        """Starts the server.

        Raises:
            OutputError: the address or port is not free, or needs rights.
        """
        from snap7.server import Server
        from snap7.type import SrvArea

        self.close()
        quiet("snap7")
        server = Server(log=False)
        server.register_area(SrvArea.DB, self._settings.block, self._memory)
        server.set_events_callback(self._on_event)
        host, port = self._settings.host, self._settings.port
        try:
            socket.create_server((host, port)).close()  # snap7 shares a port with another server and does not say so
            server.start_to(host, port)
        except Exception as error:  # snap7 has errors of its own
            raise OutputError(
                f"{self.name}: cannot serve S7 on {host}:{port} ({error}): free the port, or name another one"
            ) from None
        self._server = server
        self._changed()

    def close(self) -> None:
        """Ends the server: the PLC has an error at its next read."""
        from snap7.type import SrvArea

        server, self._server = self._server, None
        if server is not None:
            with suppress(Exception):  # close never raises
                # snap7 goes on to serve who is connected: without the block, what it has is no news of this line.
                server.unregister_area(SrvArea.DB, self._settings.block)
                server.stop()

    def _changed(self) -> None:
        with self._writing:  # two threads come here: the older of two pictures must not be the last
            self._memory[:_READ] = struct.pack(f">{WORDS}H", *words_of(self.shown()))  # in one step for readers

    def _on_event(self, event: Any) -> None:
        """Called by the server after a read or write. What a PLC writes over results is replaced at once."""
        from snap7.server import EVC_DATA_WRITE

        if event.EvtCode == EVC_DATA_WRITE:
            self.hear(inputs_of(list(struct.unpack(f">{COMMANDS}H", self._memory[_READ:]))))
