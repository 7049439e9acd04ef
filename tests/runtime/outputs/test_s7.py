"""S7 with snap7's client, and in `make test-line` with nodes7, a client that nobody here wrote."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.plc import PlcInputs
from edgeirf.runtime.outputs.s7 import S7, S7Settings

snap7 = pytest.importorskip("snap7", reason="pip install 'edgeirf[s7]'")

Make = Callable[..., PartVerdict]
Until = Callable[[Callable[[], bool]], None]


@pytest.fixture
def output(port: int) -> Iterator[S7]:
    opened = S7("plc", S7Settings(port=port, block=5))
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def plc(output: S7, port: int) -> Iterator[Any]:
    client = snap7.client.Client()
    client.connect("127.0.0.1", 0, 1, port)
    yield client
    client.disconnect()


def words(plc: Any) -> list[int]:
    return list(struct.unpack(">32H", plc.db_read(5, 0, 64)))


def test_a_plc_reads_state_heartbeat_and_result(output: S7, plc: Any, verdict: Make) -> None:
    assert words(plc)[:2] == [1, 0]
    output.state("RUNNING", "")
    output.beat(9)
    output.act(verdict(70_000, True))
    assert words(plc)[:14] == [1, 2, 9, 0b11001, 0, 1, 2, 1, 1, 4464, 1, 4464, 0, 1250]


def test_a_plc_writes_commands(output: S7, plc: Any, until: Until) -> None:
    plc.db_write(5, 64, bytearray(struct.pack(">4H", 0b11, 7, 1, 2)))
    until(lambda: output.plc == PlcInputs(True, True, False, 65_538, 7))


def test_what_a_plc_writes_over_a_result_does_not_stay(output: S7, plc: Any, verdict: Make, until: Until) -> None:
    output.act(verdict(7, True))
    plc.db_write(5, 12, bytearray(b"\0\1"))
    until(lambda: words(plc)[6] == 2)


def test_bytes_of_one_read_belong_together(output: S7, plc: Any, verdict: Make) -> None:
    stop = threading.Event()

    def publish() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            output.act(verdict(number, score=float(number)))

    thread = threading.Thread(target=publish)
    output.act(verdict(0, score=0.0))
    thread.start()
    for _ in range(200):
        part, sequence, score = struct.unpack(">IIi", bytes(plc.db_read(5, 0, 64))[16:28])
        assert part == sequence == score // 100
    stop.set()
    thread.join()


def test_the_safe_state_is_a_reject(output: S7, plc: Any, verdict: Make) -> None:
    output.act(verdict(1))
    output.safe()
    assert words(plc)[1] == 4
    assert words(plc)[6] == 2


def test_after_close_a_plc_that_is_connected_reads_nothing_more(output: S7, plc: Any) -> None:
    """Else a PLC reads the last result for ever."""
    words(plc)
    output.close()
    with pytest.raises(Exception, match=r".+"):
        words(plc)


def test_a_port_in_use_is_one_line_and_close_frees_it(output: S7, port: int) -> None:
    with pytest.raises(OutputError, match=f"cannot serve S7 on 127.0.0.1:{port}") as error:
        S7("other", S7Settings(port=port)).open()
    assert "\n" not in str(error.value)
    output.close()
    output.open()


@pytest.mark.skipif("EDGEIRF_LINE_PEERS" not in os.environ, reason="`make test-line` installs this peer")
def test_nodes7_reads_the_block_and_writes_commands(output: S7, port: int, verdict: Make, until: Until) -> None:
    output.state("RUNNING", "")
    output.beat(9)
    output.act(verdict(70_000, True))
    script = Path(__file__).parent / "peers" / "s7_client.js"
    environment = {**os.environ, "NODE_PATH": os.environ["EDGEIRF_LINE_PEERS"]}
    command = ["node", str(script), str(port), "5"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=True)
    found = json.loads(done.stdout)
    assert found == {
        "bad": False, "state": 2, "heartbeat": 9, "verdict": 2, "part": 70_000, "score": 1250,
        "completed": True, "valid": True, "command": 1, "commandPart": 70_001,
    }  # fmt: skip
    assert output.plc == PlcInputs(trigger=True, part_id=70_001)


@pytest.mark.parametrize("wrong", [{"port": 0}, {"block": 0}, {"block": 65536}])
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="port and block are 1 to 65535"):
        S7Settings(**wrong)
