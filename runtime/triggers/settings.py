"""``[trigger]`` of ``line.toml``: one dataclass a kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from edgeirf.errors import UsageError
from edgeirf.runtime.triggers.camera import CameraTriggerSettings
from edgeirf.runtime.triggers.gpio import GpioSettings
from edgeirf.runtime.triggers.mqtt import MqttTriggerSettings


@dataclass(frozen=True)
class FreeSettings:
    """Each frame is a part."""


@dataclass(frozen=True)
class SoftwareSettings:
    """A program that runs the line in its own process announces the parts."""


@dataclass(frozen=True)
class PlcSettings:
    """The PLC announces the parts through an output that it reads and writes (Modbus, OPC UA, S7)."""


@dataclass(frozen=True)
class HttpSettings:
    """``POST /trigger``.

    Attributes:
        host: address to listen on; another than this machine's own needs a token.
        port: 0 takes a free one.
        token: callers send it as ``Authorization: Bearer TOKEN``.
    """

    host: str = "127.0.0.1"
    port: int = field(default=8477, metadata={"min": 0, "max": 65535})
    token: str = ""

    def __post_init__(self) -> None:
        if self.host not in ("127.0.0.1", "::1", "localhost") and not self.token:
            raise UsageError(
                f"host {self.host} is open to the network: set token, for example token = 'env:LINE_TOKEN'"
            )


TriggerSettings = (
    FreeSettings
    | SoftwareSettings
    | PlcSettings
    | HttpSettings
    | MqttTriggerSettings
    | GpioSettings
    | CameraTriggerSettings
)

KINDS: Mapping[str, type[TriggerSettings]] = MappingProxyType(
    {
        "free": FreeSettings,
        "software": SoftwareSettings,
        "plc": PlcSettings,
        "http": HttpSettings,
        "mqtt": MqttTriggerSettings,
        "gpio": GpioSettings,
        "camera": CameraTriggerSettings,
    }
)
"""The word after ``kind =`` and the settings that it takes."""
