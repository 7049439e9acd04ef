"""OPC UA with asyncua's client, and in `make test-line` with node-opcua, a client that nobody here wrote."""

from __future__ import annotations

import asyncio
import json
import math
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.opcua import OpcUa, OpcUaSettings
from edgeirf.runtime.outputs.plc import PlcInputs

asyncua = pytest.importorskip("asyncua", reason="pip install 'edgeirf[opcua]'")

Make = Callable[..., PartVerdict]
Until = Callable[[Callable[[], bool]], None]
NODESET = "node-opcua-nodesets/nodesets/Opc.Ua.MachineVision.NodeSet2.xml"
needs_peers = pytest.mark.skipif("EDGEIRF_LINE_PEERS" not in os.environ, reason="`make test-line` installs this peer")


def settings(port: int, **more: Any) -> OpcUaSettings:
    return OpcUaSettings(port=port, **more)


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[OpcUa, int]]:
    """One for the module: a start takes a second."""
    port = free_port()
    output = OpcUa("scada", settings(port))
    output.open()
    yield output, port
    output.close()


def with_client(port: int, work: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with asyncua.Client(f"opc.tcp://127.0.0.1:{port}/edgeirf", timeout=20) as client:
            return await work(client)

    return asyncio.run(run())


async def node(client: Any, name: str) -> Any:
    index = await client.get_namespace_index("urn:edgeirf")
    return client.get_node(f"ns={index};s=edgeirf.{name}")


def read(port: int, *names: str) -> list[Any]:
    async def work(client: Any) -> list[Any]:
        return [await (await node(client, name)).read_value() for name in names]

    found: list[Any] = with_client(port, work)
    return found


def test_a_client_reads_state_and_result_as_typed_nodes(server: tuple[OpcUa, int], verdict: Make) -> None:
    output, port = server
    output.state("RUNNING", "all well")
    output.beat(9)
    output.act(verdict(7, True))
    assert read(port, "State", "StateReason", "Heartbeat", "Ready") == ["RUNNING", "all well", 9, True]
    names = ("Result.PartId", "Result.Sequence", "Result.Reject", "Result.Score", "Result.PValue")
    assert read(port, *names) == ["7", 7, True, 12.5, 0.25]

    async def kind(client: Any) -> Any:
        return await (await node(client, "Result.Sequence")).read_data_type_as_variant_type()

    assert with_client(port, kind) == asyncua.ua.VariantType.UInt32


def test_each_result_is_an_event(server: tuple[OpcUa, int], verdict: Make, until: Until) -> None:
    output, port = server

    async def work(client: Any) -> list[Any]:
        got: list[Any] = []

        class Handler:
            def event_notification(self, event: Any) -> None:
                got.append(event)

        index = await client.get_namespace_index("urn:edgeirf")
        kind = await client.nodes.base_event_type.get_child(f"{index}:InspectionResultType")
        subscription = await client.create_subscription(20, Handler())
        await subscription.subscribe_events(client.get_node(f"ns={index};s=edgeirf"), kind)
        for number in range(10):
            await asyncio.to_thread(output.act, verdict(number, number % 2 == 1))
        await asyncio.to_thread(until, lambda: len(got) == 10)
        return got

    events = with_client(port, work)
    assert [event.PartId for event in events] == [str(number) for number in range(10)]
    assert [event.Reject for event in events] == [False, True] * 5
    assert events[1].Message.Text == "part 1: reject (inspected)"
    assert (events[1].Severity, events[0].Severity) == (500, 100)


def test_a_client_writes_commands_and_no_results(server: tuple[OpcUa, int], until: Until) -> None:
    output, port = server

    async def work(client: Any) -> None:
        from asyncua import ua

        await (await node(client, "Command.PartId")).write_value(ua.Variant(7, ua.VariantType.UInt32))
        await (await node(client, "Command.Trigger")).write_value(ua.Variant(True, ua.VariantType.Boolean))
        for name in ("Result.Reject", "State"):
            with pytest.raises(ua.UaError):
                await (await node(client, name)).write_value(ua.Variant(False, ua.VariantType.Boolean))
        with pytest.raises(ua.UaError):  # nor nodes of its own
            await client.nodes.objects.add_folder(2, "mine")

    with_client(port, work)
    until(lambda: output.plc == PlcInputs(trigger=True, part_id=7))


def test_the_safe_state_is_a_reject(server: tuple[OpcUa, int], verdict: Make, until: Until) -> None:
    output, port = server
    output.act(verdict(1))
    output.safe()
    until(lambda: read(port, "State", "Result.Reject", "Valid", "Ready") == ["FAULT", True, False, False])
    assert math.isnan(read(port, "Result.Score")[0])


def test_a_port_in_use_is_one_line(server: tuple[OpcUa, int]) -> None:
    with pytest.raises(OutputError, match=r"cannot serve OPC UA on 127.0.0.1:\d+ \(.*in use") as error:
        OpcUa("other", settings(server[1])).open()
    assert "\n" not in str(error.value)


def test_a_verdict_before_open_is_an_error(verdict: Make) -> None:
    with pytest.raises(OutputError, match="not running"):
        OpcUa("scada", settings(4840)).act(verdict(1))


def test_only_an_encrypted_client_with_the_password_comes_in(tmp_path: Path, port: int, verdict: Make) -> None:
    secure = {"security": "Basic256Sha256", "pki_folder": str(tmp_path / "pki"), "user": "plc", "password": "secret"}
    output = OpcUa("scada", settings(port, **secure))
    output.open()
    assert (tmp_path / "pki" / "own.pem").stat().st_mode & 0o077 == 0
    try:
        output.act(verdict(7))
        asyncio.run(_knock(port, tmp_path))
    finally:
        output.close()
    assert "secret" not in repr(settings(port, **secure))


async def _knock(port: int, folder: Path) -> None:
    from asyncua import ua
    from asyncua.crypto.cert_gen import setup_self_signed_certificate
    from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
    from cryptography.x509.oid import ExtendedKeyUsageOID

    url, uri = f"opc.tcp://127.0.0.1:{port}/edgeirf", "urn:plc"
    key, certificate = folder / "plc.pem", folder / "plc.der"
    await setup_self_signed_certificate(key, certificate, uri, "plc", [ExtendedKeyUsageOID.CLIENT_AUTH], {})
    with pytest.raises(ua.UaError):
        async with asyncua.Client(url, timeout=20):
            pass
    for password, comes_in in (("wrong", False), ("secret", True)):
        client = asyncua.Client(url, timeout=20)
        client.application_uri = uri
        await client.set_security(SecurityPolicyBasic256Sha256, str(certificate), str(key))
        client.set_user("plc")
        client.set_password(password)
        if not comes_in:
            with pytest.raises(ua.UaError):
                await client.connect()
            continue
        async with client:
            assert await (await node(client, "Result.PartId")).read_value() == "7"


@needs_peers
def test_the_companion_model_has_a_vision_system_and_its_events(port: int, verdict: Make, until: Until) -> None:
    nodeset = Path(os.environ["EDGEIRF_LINE_PEERS"]) / NODESET
    output = OpcUa("scada", settings(port, nodeset=str(nodeset)))
    output.open()

    async def work(client: Any) -> tuple[Any, Any, str]:
        from asyncua import ua

        got: list[Any] = []

        class Handler:
            def event_notification(self, event: Any) -> None:
                got.append(event)

        index = await client.get_namespace_index("http://opcfoundation.org/UA/MachineVision")
        await client.load_data_type_definitions()
        system = await node(client, "Vision")
        subscription = await client.create_subscription(20, Handler())
        await subscription.subscribe_events(system, ua.NodeId(1024, index))
        machine = await system.get_child(f"{index}:VisionStateMachine")
        places = [machine, await machine.get_child(f"{index}:AutomaticModeStateMachine")]
        states = []
        for number, line_state in enumerate(("INIT", "READY", "RUNNING", "DEGRADED", "FAULT", "RUNNING")):
            await asyncio.to_thread(output.state, line_state, "")
            await asyncio.to_thread(output.act, verdict(7, True))
            await asyncio.to_thread(until, lambda count=number + 1: len(got) == count)
            for place in places:
                current = await place.get_child("0:CurrentState")
                identity = await (await current.get_child("0:Id")).read_value()
                states.append(((await current.read_value()).Text, identity.Identifier))
        return got[-1], states, str((await system.read_type_definition()).Identifier)

    try:
        event, states, kind = with_client(port, work)
    finally:
        output.close()
    assert kind == "1003"
    operational, executes, none = ("Operational", 5031), ("ContinuousExecution", 5059), ("", 0)
    assert states[:2] == [("Preoperational", 5028), none]
    assert states[2:8] == [operational, ("Ready", 5057), *[operational, executes] * 2]
    assert states[8:] == [("Error", 5030), none, operational, executes]
    assert (event.PartId.Id, event.ResultId.Id, event.IsPartial, event.IsSimulated) == ("7", "7", False, False)
    assert '"part_id": 7' in event.ResultContent[0].Value


def node_opcua(port: int, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    script = Path(__file__).parent / "peers" / "opcua_client.js"
    environment = {**os.environ, "NODE_PATH": os.environ["EDGEIRF_LINE_PEERS"]}
    command = ["node", str(script), str(port), str(folder / "client"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def answer(client: subprocess.Popen[str]) -> Any:
    """What the client found: its last line; the library talks before."""
    return json.loads(client.communicate(timeout=60)[0].splitlines()[-1])


@needs_peers
@pytest.mark.parametrize("security", ["none", "Basic256Sha256"])
def test_node_opcua_reads_subscribes_and_writes(
    port: int, tmp_path: Path, verdict: Make, until: Until, security: str
) -> None:
    secure = {"pki_folder": str(tmp_path / "pki"), "user": "plc", "password": "secret"} if security != "none" else {}
    output = OpcUa("scada", settings(port, security=security, **secure))
    output.open()
    output.state("RUNNING", "")
    output.beat(9)
    output.act(verdict(1, True))
    client = node_opcua(port, tmp_path, security, *(["plc", "secret"] if secure else []))
    try:
        until(lambda: output.plc.trigger)
        for number in range(2, 6):
            output.act(verdict(number, number == 3))
        found = answer(client)
        if secure:
            assert "refused" in answer(node_opcua(port, tmp_path, security, "plc", "wrong"))
            assert "refused" in answer(node_opcua(port, tmp_path, "none"))
    finally:
        client.kill()
        output.close()
    assert output.plc == PlcInputs(trigger=True, part_id=7)
    assert list(found["values"].values()) == ["RUNNING", 9, "1", True, 12.5, 1]
    assert list(found["types"].values()) == ["String", "UInt32", "String", "Boolean", "Double", "UInt32"]
    assert found["written"] == {"result": "BadUserAccessDenied", "part": "Good", "trigger": "Good"}
    assert [event[1:] for event in found["events"]] == [[str(n), n == 3, 12.5] for n in range(2, 6)]
    assert found["events"][1][0] == "part 3: reject (inspected)"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"port": 0}, "port is"),
        ({"user": "plc"}, "a password needs security"),
        ({"security": "Basic256Sha256"}, "security needs pki_folder"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        OpcUaSettings(**wrong)
