"""MQTT against mosquitto, a broker that nobody here wrote."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.factory import open_output
from edgeirf.runtime.outputs.mqtt import Mqtt, MqttSettings
from edgeirf.runtime.outputs.spooled import Spooled

pytest.importorskip("paho.mqtt.client", reason="pip install 'edgeirf[mqtt]'")
Until = Callable[[Callable[[], bool]], None]


class Received:
    """A subscriber with paho for a broker that comes and goes, with a session that the broker keeps."""

    def __init__(self, port: int, **tls: Any) -> None:
        from paho.mqtt.client import CallbackAPIVersion, Client

        self.got: list[tuple[str, str, bool]] = []
        self.ready = False
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="plc", clean_session=False)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe([("edgeirf/#", 1)])
        self.client.on_subscribe = lambda *_: setattr(self, "ready", True)
        self.client.on_message = lambda _c, _u, m: self.got.append((m.topic, m.payload.decode(), m.retain))
        self.client.connect("127.0.0.1", port, 5)
        self.client.loop_start()

    def parts(self) -> list[int]:
        """By key, each once: a killed broker may itself send again what it sent before."""
        records = [json.loads(text) for text in self.payloads("edgeirf/verdict")]
        return list({record["id"]: record["part_id"] for record in records}.values())

    def payloads(self, topic: str) -> list[str]:
        return [text for found, text, _ in self.got if found == topic]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def received(broker: Any, until: Until) -> Iterator[Received]:
    made = Received(broker.port)
    until(lambda: made.ready)
    yield made
    made.close()


def test_a_verdict_a_state_and_a_heartbeat_arrive(
    broker: Any, received: Received, until: Until, verdict: Callable[..., PartVerdict]
) -> None:
    output = Mqtt("broker", MqttSettings(port=broker.port))
    output.open()
    output.act(verdict(7, True))
    output.state("RUNNING", "all well")
    output.beat(3)
    until(lambda: len(received.got) >= 4)
    output.close()
    record = json.loads(received.payloads("edgeirf/verdict")[0])
    assert (record["part_id"], record["reject"], record["views"]["top"]["score"]) == (7, True, 12.5)
    assert len(record["id"]) == 32
    assert json.loads(received.payloads("edgeirf/state")[0]) == {"state": "RUNNING", "reason": "all well"}
    assert received.payloads("edgeirf/heartbeat") == ["3"]
    until(lambda: received.payloads("edgeirf/status") == ["online", "offline"])


def test_state_and_status_are_retained_for_who_comes_later(
    broker: Any, until: Until, verdict: Callable[..., PartVerdict]
) -> None:
    output = Mqtt("broker", MqttSettings(port=broker.port))
    output.state("READY", "")  # before the connection
    output.open()
    output.act(verdict(1))  # acknowledged after all that was published before
    late = Received(broker.port)
    until(lambda: len(late.got) >= 2)
    late.close()
    output.close()
    assert {(topic, retained) for topic, _, retained in late.got} >= {("edgeirf/state", True), ("edgeirf/status", True)}


def test_the_last_will_says_offline_when_the_process_is_gone(broker: Any, received: Received, until: Until) -> None:
    output = Mqtt("broker", MqttSettings(port=broker.port))
    output.open()
    until(lambda: received.payloads("edgeirf/status") == ["online"])
    client = output._client
    assert client is not None
    client.socket().shutdown(socket.SHUT_RDWR)  # what a kill does: no DISCONNECT
    until(lambda: received.payloads("edgeirf/status") == ["online", "offline"])
    output.close()


def test_an_offline_verdict_is_undelivered_and_never_sent_later(
    broker: Any, received: Received, until: Until, verdict: Callable[..., PartVerdict]
) -> None:
    output = Mqtt("broker", MqttSettings(port=broker.port, timeout_s=1))
    output.open()
    output.act(verdict(1))
    broker.kill()
    for number in (2, 3):
        with pytest.raises(OutputError, match="broker"):
            output.act(verdict(number))
    broker.start()
    output.open()
    output.act(verdict(4))
    until(lambda: 4 in received.parts())
    assert received.parts() == [1, 4]
    output.close()


def test_the_spool_bridges_a_killed_broker_in_order_and_once(
    broker: Any, received: Received, until: Until, tmp_path: Path, verdict: Callable[..., PartVerdict]
) -> None:
    settings = {"kind": "mqtt", "port": broker.port, "timeout_s": 1.0, "spool": str(tmp_path / "mqtt.spool")}
    output = open_output("broker", settings)
    assert isinstance(output, Spooled)
    output.open()
    for number in range(20):
        output.act(verdict(number))
        if number == 5:
            until(lambda: len(received.parts()) == 6)
            broker.kill()
        if number == 15:
            until(lambda: output.problem is not None)
            broker.start()
    until(lambda: output.waiting == 0 and len(received.parts()) >= 20)
    output.close()
    assert received.parts() == list(range(20))


def test_a_broker_that_is_not_there_is_one_line(port: int) -> None:
    with pytest.raises(OutputError, match="does not answer") as error:
        Mqtt("broker", MqttSettings(port=port)).open()
    assert "\n" not in str(error.value)


def test_tls_and_password_are_used_and_wrong_ones_are_refused(
    tmp_path: Path, port: int, open_broker: Callable[..., Any], verdict: Callable[..., PartVerdict]
) -> None:
    if shutil.which("openssl") is None or shutil.which("mosquitto_passwd") is None:
        pytest.skip("openssl or mosquitto_passwd is not installed")
    certificates(tmp_path)
    tls = [f"{key} {tmp_path}/{name}" for key, name in FILES.items()]
    open_broker(*tls, "allow_anonymous false")
    good = {"port": port, "tls": True, "ca_file": str(tmp_path / "ca.pem"), "user": "line1", "password": "secret"}
    output = Mqtt("broker", MqttSettings(**good))
    output.open()
    output.act(verdict(1))
    output.close()
    for wrong, said in (
        ({"password": "wrong"}, "refuses .*Not authorized"),
        ({"user": ""}, "refuses .*Not authorized"),
        ({"ca_file": ""}, "does not answer .*certificate"),
        ({"ca_file": str(tmp_path / "none.pem")}, "certificate files"),
    ):
        with pytest.raises(OutputError, match=said) as error:
            Mqtt("broker", MqttSettings(**{**good, **wrong})).open()
        assert "secret" not in str(error.value)
    assert "secret" not in repr(MqttSettings(**good))


FILES = {"cafile": "ca.pem", "certfile": "srv.pem", "keyfile": "srv.key", "password_file": "pw"}


def certificates(folder: Path) -> None:
    """An authority, a broker's certificate for 127.0.0.1, and a password file."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    (folder / "ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    for command in (
        ["openssl", "req", "-x509", *curve, "-days", "2", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca"],
        ["openssl", "req", *curve, "-keyout", "srv.key", "-out", "srv.csr", "-subj", "/CN=localhost"],
        [
            "openssl",
            "x509",
            "-req",
            "-extfile",
            "ext",
            "-out",
            "srv.pem",
            "-in",
            "srv.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
        ],
        ["mosquitto_passwd", "-b", "-c", "pw", "line1", "secret"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("wrong", [{"topic": "a/#"}, {"topic": ""}, {"port": 0}, {"timeout_s": 0}, {"spool_mb": 0}])
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is|has"):
        MqttSettings(**wrong)
