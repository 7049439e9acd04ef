"""Modbus TCP, read and written by mbpoll (libmodbus), a master that nobody here wrote."""

from __future__ import annotations

import re
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.modbus import Modbus, ModbusSettings
from edgeirf.runtime.outputs.plc import Newest, PlcInputs, PlcOutputs

pytest.importorskip("pymodbus", reason="pip install 'edgeirf[modbus]'")
needs_mbpoll = pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed (apt install mbpoll)")

Make = Callable[..., PartVerdict]
INPUT, HOLDING = "3", "4"


def mbpoll(port: int, kind: str, first: int, *options: str, write: tuple[int, ...] = ()) -> list[int]:
    """Registers from ``first`` (counted from 0), or [] after a write or a refusal."""
    command = ["mbpoll", "-m", "tcp", "-p", str(port), "-a", "1", "-1", "-q", "-0", "-t", kind, "-r", str(first)]
    done = subprocess.run(
        [*command, *options, "127.0.0.1", *map(str, write)], capture_output=True, text=True, check=False, timeout=30
    )
    return [int(value) & 0xFFFF for value in re.findall(r"^\[\d+\]:\s+(-?\d+)", done.stdout, re.MULTILINE)]


@pytest.fixture
def output(port: int) -> Iterator[Modbus]:
    opened = Modbus("plc", ModbusSettings(port=port))
    opened.open()
    yield opened
    opened.close()


@needs_mbpoll
def test_a_plc_reads_state_heartbeat_and_result(output: Modbus, port: int, verdict: Make) -> None:
    output.state("RUNNING", "")
    output.beat(9)
    output.act(verdict(70_000, True))
    words = mbpoll(port, INPUT, 0, "-c", "32")
    assert words[:8] == [1, 2, 9, 0b11001, 0, 1, 2, 1]
    assert words[8:14] == [1, 4464, 1, 4464, 0, 1250]
    assert mbpoll(port, HOLDING, 100, "-c", "32") == words
    output.act(verdict(2))
    assert mbpoll(port, INPUT, 5, "-c", "2") == [0, 1]


@needs_mbpoll
def test_a_plc_writes_commands_and_reads_them_back(output: Modbus, port: int) -> None:
    mbpoll(port, HOLDING, 0, write=(0b011, 5, 1, 2))
    assert output.plc == PlcInputs(True, True, False, 65_538, 5)
    mbpoll(port, HOLDING, 0, write=(0b100,))  # one register: the others keep what they have
    assert output.plc == PlcInputs(acknowledge=True, part_id=65_538, heartbeat=5)
    assert mbpoll(port, HOLDING, 0, "-c", "4") == [4, 5, 1, 2]


@needs_mbpoll
def test_a_plc_cannot_write_results_or_read_beyond_the_map(output: Modbus, port: int, verdict: Make) -> None:
    output.act(verdict(1))
    before = mbpoll(port, INPUT, 0, "-c", "32")
    mbpoll(port, HOLDING, 106, write=(1,))
    assert mbpoll(port, INPUT, 0, "-c", "32") == before
    assert output.plc == PlcInputs()
    assert mbpoll(port, INPUT, 0, "-c", "33") == []
    assert mbpoll(port, HOLDING, 50, "-c", "1") == []


@needs_mbpoll
def test_a_handshake_runs_over_the_registers(output: Modbus, port: int, verdict: Make) -> None:
    class Latch(Newest):
        """Trigger, Ack, Completed and Valid, until the PLC acknowledges the result."""

        seen = PlcInputs()

        def inputs(self, inputs: PlcInputs) -> None:
            self.seen = inputs

        def snapshot(self) -> PlcOutputs:
            shown = super().snapshot()
            valid = shown.result is not None and not self.seen.results_ack
            trigger, part = self.seen.trigger, self.seen.part_id
            return PlcOutputs(not trigger, trigger, part, False, shown.completed, valid, 0, shown.result)

    output.handshake = Latch()
    assert mbpoll(port, INPUT, 3, "-c", "1") == [0b00001]
    mbpoll(port, HOLDING, 0, write=(1, 0, 0, 7))
    assert mbpoll(port, INPUT, 3, "-c", "1") == [0b00010]
    assert mbpoll(port, INPUT, 17, "-c", "2") == [0, 7]
    output.act(verdict(output.plc.part_id))
    mbpoll(port, HOLDING, 0, write=(0,))
    assert mbpoll(port, INPUT, 3, "-c", "7") == [0b11001, 0, 1, 1, 1, 0, 7]
    mbpoll(port, HOLDING, 0, write=(2,))
    assert mbpoll(port, INPUT, 3, "-c", "1") == [0b01001]


@needs_mbpoll
def test_the_safe_state_is_a_reject(output: Modbus, port: int, verdict: Make) -> None:
    output.act(verdict(1))
    output.safe()
    words = mbpoll(port, INPUT, 0, "-c", "8")
    assert (words[1], words[3], words[6], words[7]) == (4, 0, 2, 6)


def read(client: socket.socket, count: int) -> bytes:
    client.sendall(struct.pack(">HHHBBHH", 1, 0, 6, 1, 4, 0, count))
    data = b""
    while len(data) < 9 + 2 * count:
        data += client.recv(512)
    return data[9:]


def test_registers_of_one_read_belong_together(output: Modbus, port: int, verdict: Make) -> None:
    """Part id, sequence and score all name the same part, while another thread publishes as fast as it can."""
    stop = threading.Event()

    def publish() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            output.act(verdict(number, score=float(number)))

    thread = threading.Thread(target=publish)
    output.act(verdict(0, score=0.0))
    thread.start()
    seen = set()
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        for _ in range(200):
            part, sequence, score = struct.unpack(">IIi", read(client, 32)[16:28])
            assert part == sequence == score // 100
            seen.add(part)
    stop.set()
    thread.join()
    assert len(seen) > 1


def test_close_ends_the_connections_that_are_open(output: Modbus, port: int) -> None:
    """Else a PLC reads the last result for ever."""
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        assert read(client, 2)[1] == 1
        output.close()
        assert client.recv(1) == b""


def test_the_port_is_free_again_after_close(output: Modbus, port: int) -> None:
    output.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 1)
    output.open()
    socket.create_connection(("127.0.0.1", port), 5).close()
    output.open()  # again: the line may do so after a failure


def test_a_port_in_use_is_one_line(output: Modbus, port: int) -> None:
    with pytest.raises(OutputError, match=f"plc2: cannot serve Modbus on 127.0.0.1:{port}") as error:
        Modbus("plc2", ModbusSettings(port=port)).open()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", [{"port": 0}, {"unit": 0}, {"unit": 248}])
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="port is 1 to 65535, unit is 1 to 247"):
        ModbusSettings(**wrong)
