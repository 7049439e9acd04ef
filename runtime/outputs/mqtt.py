"""Verdicts to an MQTT broker."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.broker import BrokerSettings, check_topic, client_of
from edgeirf.runtime.outputs.durable import DurableOutput, encode
from edgeirf.runtime.outputs.output import State
from edgeirf.runtime.outputs.settings import RecordSettings

if TYPE_CHECKING:
    from paho.mqtt.client import Client


@dataclass(frozen=True, kw_only=True)
class MqttSettings(BrokerSettings, RecordSettings):
    """Settings of MQTT: those of the broker, and what is published.

    >>> MqttSettings(host="broker.example", tls=True).topic
    'edgeirf'

    Attributes:
        topic: the output writes to ``TOPIC/verdict``, ``TOPIC/state``, ``TOPIC/heartbeat`` and ``TOPIC/status``.
    """

    topic: str = "edgeirf"

    def __post_init__(self) -> None:
        BrokerSettings.__post_init__(self)
        RecordSettings.__post_init__(self)
        check_topic(self.topic)

    def output(self, name: str) -> Mqtt:
        """The output, not yet open."""
        return Mqtt(name, self)


class Mqtt(DurableOutput):
    """Publishes to a broker: verdicts with QoS 1, the state as a retained message, the heartbeat with QoS 0.

    ``TOPIC/status`` is retained: ``online``, and ``offline`` after :meth:`safe`, after :meth:`close` and as last will.
    A verdict counts as delivered when the broker acknowledges it; without a connection nothing waits in memory.

    >>> output = Mqtt("broker", MqttSettings(host="127.0.0.1", port=1))
    >>> output.act(PartVerdict(part_id=7, reject=True, reason="late"))
    Traceback (most recent call last):
    edgeirf.errors.OutputError: broker: not connected to the broker 127.0.0.1:1
    """

    def __init__(self, name: str, settings: MqttSettings) -> None:
        super().__init__(name)
        self._settings = settings
        self._peer = f"the broker {settings.host}:{settings.port}"
        self._client: Client | None = None
        self._state: str | None = None
        self._change = threading.Condition()
        self._answer: str | None = None
        self._acknowledged: set[int] = set()

    def open(self) -> None:
        """Connects with a new client.

        Raises:
            OutputError: the broker does not answer, refuses, or has another certificate.
        """
        self.close()
        self._answer = None
        client = self._client_of()
        try:
            client.connect(self._settings.host, self._settings.port, self._settings.keepalive_s)
        except (OSError, ValueError) as error:
            raise OutputError(f"{self.name}: {self._peer} does not answer ({error}): check address and port") from None
        client.loop_start()
        self._client = client
        with self._change:
            self._change.wait_for(lambda: self._answer is not None, self._settings.timeout_s)
            answer = self._answer or "no answer"
        if answer != "Success":
            self._drop()
            raise OutputError(f"{self.name}: {self._peer} refuses ({answer}): check user, password and certificate")
        client.publish(self._topic("status"), "online", qos=1, retain=True)
        if self._state is not None:
            client.publish(self._topic("state"), self._state, qos=1, retain=True)

    def deliver(self, verdict: PartVerdict, key: str) -> None:
        """Publishes one verdict and waits for the broker's acknowledgement."""
        self._publish_and_wait("verdict", encode(verdict, key), retain=False)

    def state(self, state: State, reason: str) -> None:
        """Publishes the state as a retained message; after a new connection again."""
        self._state = json.dumps({"state": state, "reason": reason})
        if self._client is not None and self._client.is_connected():
            self._client.publish(self._topic("state"), self._state, qos=1, retain=True)

    def beat(self, count: int) -> None:
        """Publishes the count."""
        self._connected().publish(self._topic("heartbeat"), str(count), qos=0)

    def safe(self) -> None:
        """Says ``offline``: who reads it takes every part for a reject."""
        try:
            self._publish_and_wait("status", "offline", retain=True)
        except OutputError:
            return  # then the last will says it

    def close(self) -> None:
        """Says ``offline`` and disconnects."""
        if self._client is not None:
            if self._client.is_connected():
                self.safe()
            self._drop()

    def _client_of(self) -> Client:
        """open() connects again, with a client that has nothing left to send."""
        try:
            client = client_of(self._settings, f"edgeirf-{self.name}")
        except OutputError as error:
            raise OutputError(f"{self.name}: {error}") from None
        client.will_set(self._topic("status"), "offline", qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        return client

    def _publish_and_wait(self, topic: str, payload: str, retain: bool) -> None:
        client = self._connected()
        with self._change:
            self._acknowledged.clear()
        sent = client.publish(self._topic(topic), payload, qos=1, retain=retain)
        with self._change:
            done = self._change.wait_for(
                lambda: sent.mid in self._acknowledged or not client.is_connected(), self._settings.timeout_s
            )
            delivered = done and sent.mid in self._acknowledged
        if not delivered:
            self._drop()  # else the client sends it once more by itself
            raise OutputError(f"{self.name}: {self._peer} does not acknowledge: check network and broker")

    def _connected(self) -> Client:
        if self._client is None or not self._client.is_connected():
            raise OutputError(f"{self.name}: not connected to {self._peer}")
        return self._client

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _topic(self, end: str) -> str:
        return f"{self._settings.topic}/{end}"

    def _on_connect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._change:
            self._answer = str(reason)
            self._change.notify_all()

    def _on_disconnect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._change:
            self._answer = self._answer or str(reason)
            self._change.notify_all()

    def _on_publish(self, client: Client, userdata: Any, mid: int, reason: Any, properties: Any) -> None:
        with self._change:
            self._acknowledged.add(mid)
            self._change.notify_all()
