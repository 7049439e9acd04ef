"""Results to a PLC that reads them over Modbus TCP."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from edgeirf.errors import OutputError
from edgeirf.runtime.outputs.loop_thread import LoopThread, quiet
from edgeirf.runtime.outputs.plc import PlcOutput
from edgeirf.runtime.outputs.registers import COMMANDS, WORDS, inputs_of, words_of
from edgeirf.runtime.outputs.settings import OutputSettings

MIRROR = 100
"""First holding register of a copy of the input registers, for a PLC that reads holding registers only."""
_READ_HOLDING, _READ_INPUT = 3, 4


@dataclass(frozen=True, kw_only=True)
class ModbusSettings(OutputSettings):
    """Settings of Modbus TCP: the line is the server, the PLC reads and writes registers.

    >>> ModbusSettings(host="192.168.1.10").port
    502

    Attributes:
        host: this computer's address on the network of the PLC. Modbus has no password: keep it on that network.
        port: TCP port; one below 1024 needs rights.
        unit: the address of this server as the PLC names it, 1 to 247.
    """

    host: str = "127.0.0.1"
    port: int = 502
    unit: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536 or not 1 <= self.unit <= 247:
            raise ValueError("port is 1 to 65535, unit is 1 to 247")

    def output(self, name: str) -> Modbus:
        """The output, not yet open."""
        return Modbus(name, self)


class Modbus(PlcOutput):
    """Serves the register map: input registers 0 to 31, and the same as holding registers 100 to 131.

    The PLC writes holding registers 0 to 3. The answer to one read is taken at one moment: its registers belong
    together. See docs/outputs.md.

    >>> output = Modbus("plc", ModbusSettings(port=50201))
    >>> output.state("READY", "")
    >>> output.shown().state
    'READY'
    """

    def __init__(self, name: str, settings: ModbusSettings) -> None:
        super().__init__(name)
        self._settings = settings
        self._loop: LoopThread | None = None
        self._server: Any = None

    def open(self) -> None:
        """Starts the server.

        Raises:
            OutputError: the address or port is not free, or needs rights.
        """
        self.close()
        quiet("pymodbus")
        loop = LoopThread(f"modbus {self.name}")
        try:
            self._server = loop.call(self._serve(), 5)
        except (OSError, RuntimeError) as error:
            loop.stop()
            where = f"{self._settings.host}:{self._settings.port}"
            raise OutputError(
                f"{self.name}: cannot serve Modbus on {where} ({error}): free the port, or name another one"
            ) from None
        self._loop = loop

    def close(self) -> None:
        """Ends the server: the PLC sees that the connection is gone."""
        loop, self._loop = self._loop, None
        if loop is not None:
            with suppress(Exception):  # close never raises; the thread ends either way
                loop.call(self._server.shutdown(), 2)
            loop.stop()

    async def _serve(self) -> Any:
        from pymodbus.server import ModbusTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        def registers(address: int, count: int, readonly: bool = False) -> SimData:
            return SimData(address, values=[0] * count, datatype=DataType.REGISTERS, readonly=readonly)

        bits = SimData(0, values=[False] * 16, datatype=DataType.BITS)
        holding = [registers(0, COMMANDS), registers(MIRROR, WORDS, readonly=True)]
        blocks = ([bits], [bits], holding, [registers(0, WORDS, readonly=True)])
        device = SimDevice(self._settings.unit, blocks, action=self._accessed)
        server = ModbusTcpServer(device, address=(self._settings.host, self._settings.port))
        await server.serve_forever(background=True)
        return server

    async def _accessed(
        self, function: int, start: int, address: int, count: int, registers: list[int], written: list[Any] | None
    ) -> None:
        """Called by the server for each request, before it reads or writes ``registers``."""
        if written is not None:
            commands = registers[:COMMANDS]
            commands[address : address + len(written)] = map(int, written)
            self.hear(inputs_of(commands[:COMMANDS]))
        elif function in (_READ_INPUT, _READ_HOLDING):
            place = 0 if function == _READ_INPUT else MIRROR - start
            registers[place : place + WORDS] = words_of(self.shown())
