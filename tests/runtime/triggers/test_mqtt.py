"""Triggers over MQTT, with mosquitto between: a broker that nobody here wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edgeirf.errors import SourceError
from edgeirf.part import PartId
from edgeirf.runtime.triggers.mqtt import MqttTrigger, MqttTriggerSettings

paho = pytest.importorskip("paho.mqtt.client", reason="pip install 'edgeirf[mqtt]'")
Until = Callable[[Callable[[], bool]], None]


class Line:
    """A line that takes every part but 13."""

    state, reason = "RUNNING", ""

    def __init__(self) -> None:
        self.parts: list[PartId | None] = []
        self.faults: list[str] = []
        self.operators: list[str] = []
        self.beats: list[int] = []

    def announce(self, part_id: PartId | None, at: float) -> bool:
        if part_id == 666:
            raise RuntimeError("planted")
        self.parts.append(part_id)
        return part_id != 13

    def acknowledge(self, operator: str) -> bool:
        self.operators.append(operator)
        return True

    def heard(self, count: int) -> None:
        self.beats.append(count)

    def fault(self, reason: str) -> None:
        self.faults.append(reason)


@pytest.fixture
def plc(broker: Any) -> Iterator[Any]:
    """A peer that publishes, and hears the answers."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.answers, client.ready = [], False
    client.on_message = lambda _client, _data, message: client.answers.append(json.loads(message.payload))
    client.on_subscribe = lambda *_: setattr(client, "ready", True)
    client.on_connect = lambda *_: client.subscribe("edgeirf/line/answer", qos=1)
    client.reconnect_delay_set(1, 1)
    client.connect("127.0.0.1", broker.port, 5)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def test_requests_are_answered_and_retained_ones_are_not_taken(broker: Any, plc: Any, until: Until) -> None:
    until(lambda: plc.ready)
    plc.publish("edgeirf/line/trigger", '{"part_id": 1}', retain=True).wait_for_publish(10)
    trigger, line = MqttTrigger(MqttTriggerSettings(port=broker.port)), Line()
    trigger.control = line  # type: ignore[assignment]
    trigger.start(line.announce)
    try:
        until(lambda: len(plc.answers) == 1)
        for request, payload in (
            ("trigger", '{"part_id": 7}'),
            ("trigger", ""),
            ("trigger", '{"part_id": 13}'),
            ("trigger", "[]"),
            ("trigger", "no json"),
            ("ack", '{"operator": "Ana"}'),
            ("heartbeat", '{"count": 5}'),
            ("none", "{}"),
            ("trigger", '{"part_id": 666}'),
            ("trigger", '{"part_id": 8}'),
        ):
            plc.publish(f"edgeirf/line/{request}", payload, qos=1)
        until(lambda: len(plc.answers) == 11)
    finally:
        trigger.stop()
    assert line.parts == [7, 1, 13, 8]
    assert (line.operators, line.beats) == (["Ana"], [5])
    assert line.faults == ["trigger: RuntimeError: planted"]
    said = [(answer["request"], answer.get("accepted", answer.get("error", "")[:20])) for answer in plc.answers]
    assert said == [
        ("trigger", "a retained request i"),
        ("trigger", True),
        ("trigger", True),
        ("trigger", False),
        ("trigger", "the message is no JS"),
        ("trigger", "the message is no JS"),
        ("ack", ""),
        ("heartbeat", ""),
        ("none", "the requests trigger"),
        ("trigger", "RuntimeError: plante"),
        ("trigger", True),
    ]


def test_while_the_broker_is_away_the_line_is_in_fault_and_stays_in_it(broker: Any, plc: Any, until: Until) -> None:
    trigger, line = MqttTrigger(MqttTriggerSettings(port=broker.port)), Line()
    trigger.control = line  # type: ignore[assignment]
    trigger.start(line.announce)
    try:
        trigger.restart()
        broker.kill()
        until(lambda: len(line.faults) == 1)
        assert "parts pass unannounced" in line.faults[0]
        with pytest.raises(SourceError, match="is away"):
            trigger.restart()
        plc.ready = False
        broker.start()
        until(lambda: trigger._listens.is_set() and plc.ready)
        trigger.restart()
        plc.publish("edgeirf/line/trigger", '{"part_id": 2}', qos=1)
        until(lambda: line.parts == [2])
    finally:
        trigger.stop()
    assert len(line.faults) == 1  # the end of the line is no fault


def test_a_broker_that_refuses_is_one_line(open_broker: Callable[..., Any]) -> None:
    broker = open_broker("allow_anonymous false")
    with pytest.raises(SourceError, match=r"refuses .*Not authorized") as error:
        MqttTrigger(MqttTriggerSettings(port=broker.port, timeout_s=1.0)).start(lambda part_id, at: True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", [{"topic": "a/#"}, {"topic": ""}, {"host": ""}, {"port": 0}, {"keepalive_s": 0}])
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is"):
        MqttTriggerSettings(**wrong)
