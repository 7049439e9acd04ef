"""Kinds of outputs: from the settings of a configuration to an output."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping

from edgeirf.errors import ConfigError, UsageError
from edgeirf.runtime.outputs.gpio import GpioSettings
from edgeirf.runtime.outputs.jsonl import JsonlSettings
from edgeirf.runtime.outputs.modbus import ModbusSettings
from edgeirf.runtime.outputs.mqtt import MqttSettings
from edgeirf.runtime.outputs.opcua import OpcUaSettings
from edgeirf.runtime.outputs.output import Output
from edgeirf.runtime.outputs.s7 import S7Settings
from edgeirf.runtime.outputs.settings import OutputSettings, RecordSettings
from edgeirf.runtime.outputs.spooled import Spooled
from edgeirf.runtime.outputs.webhook import WebhookSettings
from edgeirf.typed_json import from_json

KINDS: Mapping[str, type[OutputSettings]] = {
    "jsonl": JsonlSettings,
    "mqtt": MqttSettings,
    "modbus": ModbusSettings,
    "opcua": OpcUaSettings,
    "s7": S7Settings,
    "gpio": GpioSettings,
    "webhook": WebhookSettings,
}
"""The word after ``kind =`` and the settings that it takes."""

NEEDS = {
    "mqtt": ("paho", "paho-mqtt"),
    "modbus": ("pymodbus", "pymodbus"),
    "opcua": ("asyncua", "asyncua"),
    "s7": ("snap7", "python-snap7"),
    "gpio": ("gpiod", "gpiod"),
}
"""Kind to the module and the package that it needs; the extra has the kind's name."""


def open_output(name: str, settings: OutputSettings | Mapping[str, object]) -> Output:
    """An output; :meth:`Output.open` then connects it.

    >>> open_output("log", {"kind": "jsonl", "path": "verdicts.jsonl"}).durable
    True

    Args:
        name: as the configuration names it.
        settings: of one of the :data:`KINDS`, or a table with the key ``kind`` and its settings.

    Raises:
        ConfigError: the kind or a setting is not known, or a value does not fit.
        UsageError: the library of this kind is not installed.
    """
    chosen = settings if isinstance(settings, OutputSettings) else read_settings(name, settings)
    kind = next(kind for kind, kept in KINDS.items() if isinstance(chosen, kept))
    check_installed(kind, name)
    output = chosen.output(name)
    if isinstance(chosen, RecordSettings) and chosen.spool:
        return Spooled(output, chosen.spool, chosen.spool_mb)
    return output


def read_settings(name: str, table: Mapping[str, object]) -> OutputSettings:
    """The settings in a table of a configuration.

    Raises:
        ConfigError: the table is wrong; the message names the key.
    """
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigError(f"output {name}: kind is {kind!r}: write one of {', '.join(KINDS)}")
    try:
        rest = {key: value for key, value in table.items() if key != "kind"}
        found = from_json(KINDS[kind], rest, f"output {name}")
    except (ValueError, TypeError) as error:
        known = ", ".join(field.name for field in dataclasses.fields(KINDS[kind]))
        raise ConfigError(f"output {name}: {error} (kind {kind} takes {known})") from None
    assert isinstance(found, OutputSettings)  # noqa: S101
    return found


def check_installed(kind: str, name: str) -> None:
    """Passes a kind whose library is installed.

    Raises:
        UsageError: it is not; the message says what to install.
    """
    module, package = NEEDS.get(kind, ("json", ""))
    if importlib.util.find_spec(module) is None:
        raise UsageError(f"output {name}: kind {kind} needs {package}: pip install 'edgeirf[{kind}]'")
