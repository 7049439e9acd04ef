"""From ``[trigger]`` to a trigger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeirf.errors import UsageError
from edgeirf.runtime.line.config import LineConfig
from edgeirf.runtime.outputs.output import Output
from edgeirf.runtime.triggers.camera import CameraTrigger, CameraTriggerSettings
from edgeirf.runtime.triggers.gpio import GpioSettings, open_gpio
from edgeirf.runtime.triggers.handshake import Handshake
from edgeirf.runtime.triggers.mqtt import MqttTrigger, MqttTriggerSettings
from edgeirf.runtime.triggers.network import HttpTrigger
from edgeirf.runtime.triggers.settings import FreeSettings, HttpSettings, SoftwareSettings
from edgeirf.runtime.triggers.software import SoftwareTrigger
from edgeirf.runtime.triggers.trigger import Trigger


def open_trigger(config: LineConfig, outputs: Sequence[Output]) -> Trigger | None:
    """The trigger, not yet started; None for free-running cameras.

    Raises:
        UsageError: it needs an output or a library that is not there.
        SourceError: the input pin cannot be read.
    """
    settings = config.trigger
    if isinstance(settings, FreeSettings):
        return None
    if isinstance(settings, SoftwareSettings):
        return SoftwareTrigger()
    if isinstance(settings, HttpSettings):
        return HttpTrigger(settings)
    if isinstance(settings, MqttTriggerSettings):
        return MqttTrigger(settings)
    if isinstance(settings, GpioSettings):
        return open_gpio(settings)
    return CameraTrigger() if isinstance(settings, CameraTriggerSettings) else _handshake(config, outputs)


def _handshake(config: LineConfig, outputs: Sequence[Output]) -> Handshake:
    peers: list[Any] = [output for output in outputs if hasattr(output, "handshake")]
    if len(peers) != 1:
        raise UsageError(
            f"{config.path}: trigger.kind: plc needs one output that a PLC reads and writes (modbus, opcua or s7), "
            f"not {len(peers)}"
        )
    peers[0].handshake = handshake = Handshake()
    return handshake
