"""Triggers, acknowledgements and heartbeats over MQTT."""

from __future__ import annotations

import importlib.util
import json
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeirf.errors import OutputError, SourceError, UsageError
from edgeirf.runtime.outputs.broker import BrokerSettings, check_topic, client_of
from edgeirf.runtime.triggers.requests import MAX_BODY, Requests
from edgeirf.runtime.triggers.trigger import Announce

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

log = logging.getLogger("edgeirf")
_RECONNECT_S = (1, 10)


@dataclass(frozen=True, kw_only=True)
class MqttTriggerSettings(BrokerSettings):
    """The broker, and where requests arrive.

    >>> MqttTriggerSettings(host="broker.example").topic
    'edgeirf/line'

    Attributes:
        topic: requests arrive at ``TOPIC/trigger``, ``TOPIC/ack`` and ``TOPIC/heartbeat``; each answer is published to
            ``TOPIC/answer``. Whoever may publish there controls the line: limit it in the broker.
    """

    topic: str = "edgeirf/line"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_topic(self.topic)


class MqttTrigger(Requests):
    """Takes the requests of HTTP as messages: ``{"part_id": 7}`` at ``TOPIC/trigger`` announces part 7.

    ``TOPIC/answer`` says ``{"request": "trigger", "accepted": true, "part_id": 7}``: a part without this answer gets no
    verdict. The time of a trigger is that of its arrival. Requests that the broker kept (retained) are not taken: their
    part is gone. While the broker is away, parts pass unannounced: the line is in FAULT.

    >>> trigger = MqttTrigger(MqttTriggerSettings(port=1))
    >>> trigger.start(lambda part_id, at: True)
    Traceback (most recent call last):
    edgeirf.errors.SourceError: trigger: the broker 127.0.0.1:1 does not answer ...

    Raises:
        UsageError: paho-mqtt is not installed.
    """

    def __init__(self, settings: MqttTriggerSettings) -> None:
        if importlib.util.find_spec("paho") is None:
            raise UsageError("trigger: kind mqtt needs paho-mqtt: pip install 'edgeirf[mqtt]'")
        super().__init__()
        self._settings = settings
        self._peer = f"the broker {settings.host}:{settings.port}"
        self._client: Client | None = None
        self._listens = threading.Event()
        self._refusal = ""

    def start(self, announce: Announce) -> None:
        """Connects; afterwards the client connects again by itself.

        Raises:
            SourceError: the broker does not answer, or refuses.
        """
        try:
            client = client_of(self._settings, "edgeirf-trigger", reconnect=True)
            client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
            client.on_disconnect, client.on_message = self._on_disconnect, self._on_message
            client.reconnect_delay_set(*_RECONNECT_S)
            client.connect(self._settings.host, self._settings.port, self._settings.keepalive_s)
        except (OSError, ValueError, OutputError) as error:
            raise SourceError(f"trigger: {self._peer} does not answer ({error}): check address and port") from None
        self._client = client
        client.loop_start()
        if not self._listens.wait(self._settings.timeout_s):
            self.stop()
            why = self._refusal or "no answer"
            raise SourceError(f"trigger: {self._peer} refuses ({why}): check user, password, certificate and topic")
        self.announce = announce

    def restart(self) -> None:
        """See :class:`edgeirf.runtime.triggers.trigger.Restartable`."""
        if not self._listens.is_set():
            raise SourceError(f"trigger: {self._peer} is away: check the network and the broker")

    def stop(self) -> None:
        """Disconnects."""
        self.announce = None
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _on_connect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._refusal = str(reason)
        else:
            client.subscribe(f"{self._settings.topic}/+", qos=0)

    def _on_subscribe(self, client: Client, userdata: Any, mid: int, reasons: Any, properties: Any) -> None:
        self._refusal = next((str(reason) for reason in reasons if reason.is_failure), "")
        if not self._refusal:
            self._listens.set()

    def _on_disconnect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._listens.clear()
        message = f"trigger: {self._peer} is away ({reason}): parts pass unannounced; check the network and the broker"
        control = self.control
        if self.announce is None:
            return
        if control is None:
            log.error(message)
        else:
            control.fault(message)

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        """Takes a request. An error must not end the client's thread: the part would get no answer at all."""
        request = message.topic.removeprefix(f"{self._settings.topic}/")
        if request == "answer":
            return
        try:
            answer = self._answered(request, message)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
            if self.control is not None:
                self.control.fault(f"trigger: {answer['error']}")
        client.publish(f"{self._settings.topic}/answer", json.dumps({"request": request, **answer}), qos=0)

    def _answered(self, request: str, message: MQTTMessage) -> dict[str, Any]:
        if message.retain:
            return {"error": "a retained request is old: publish it without retain"}
        try:
            body = json.loads(message.payload or b"{}") if len(message.payload) <= MAX_BODY else None
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return {"error": f"the message is no JSON object of up to {MAX_BODY} bytes"}
        return self.answer(request, body)[1]
