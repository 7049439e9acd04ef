"""An MQTT broker as peer: its settings, and a client that connects to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgeirf.errors import OutputError

if TYPE_CHECKING:
    from paho.mqtt.client import Client


@dataclass(frozen=True, kw_only=True)
class BrokerSettings:
    """How a broker is reached.

    >>> BrokerSettings(host="broker.example", tls=True).port
    1883

    Attributes:
        host: name or address of the broker.
        port: its TCP port; 8883 is usual with TLS.
        user, password: of the broker; empty: none.
        tls: encrypt, and verify the broker's certificate.
        ca_file: PEM file of the authority that signed it; empty: the authorities of this computer.
        cert_file, key_file: PEM files of this client's own certificate; empty: none.
        client_id: names this client; no two clients of a broker may have the same one.
        keepalive_s: seconds; after 1.5 times as long without a sign of this client the broker takes it for gone.
        timeout_s: seconds that a connection, and a delivery, may take.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    client_id: str = ""
    keepalive_s: int = 10
    timeout_s: float = 3.0

    def __post_init__(self) -> None:
        if "@" in self.host or "/" in self.host:
            raise ValueError("host is a name or an IP address alone: user and password have keys of their own")
        if not self.host or not 0 < self.port < 65536:
            raise ValueError("host is not empty, port is 1 to 65535")
        if self.keepalive_s < 1 or self.timeout_s <= 0:
            raise ValueError("keepalive_s is at least 1, timeout_s above 0")


def check_topic(topic: str) -> None:
    """Passes a topic to publish to.

    Raises:
        ValueError: it is empty, or holds a wildcard.
    """
    if not topic or any(sign in topic for sign in "#+"):
        raise ValueError("topic has no # or + and is not empty")


def client_of(settings: BrokerSettings, client_id: str, *, reconnect: bool = False) -> Client:
    """A client, not yet connected, that leaves nothing at the broker when it goes (clean session).

    Args:
        settings: of the broker.
        client_id: where the settings have none.
        reconnect: the client connects again by itself.

    Raises:
        OutputError: the certificate files cannot be used.
    """
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=settings.client_id or client_id,
        clean_session=True,
        protocol=MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=reconnect,
    )
    client.connect_timeout = settings.timeout_s
    if settings.user:
        client.username_pw_set(settings.user, settings.password or None)
    if settings.tls:
        try:
            client.tls_set(settings.ca_file or None, settings.cert_file or None, settings.key_file or None)
        except (OSError, ValueError) as error:
            raise OutputError(f"cannot use the certificate files: {error}") from None
    return client
