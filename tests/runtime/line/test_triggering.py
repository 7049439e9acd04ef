"""From ``[trigger]`` to a trigger."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeirf.errors import UsageError
from edgeirf.runtime.line.config import LineConfig, read_config
from edgeirf.runtime.line.triggering import open_trigger
from edgeirf.runtime.outputs.factory import open_output
from edgeirf.runtime.triggers.camera import CameraTrigger
from edgeirf.runtime.triggers.handshake import Handshake
from edgeirf.runtime.triggers.mqtt import MqttTrigger
from edgeirf.runtime.triggers.network import HttpTrigger
from edgeirf.runtime.triggers.software import SoftwareTrigger


def config(tmp_path: Path, trigger: str) -> LineConfig:
    (tmp_path / "line.toml").write_text(
        f'[line]\ndeadline_ms = 5000\n[detector]\nmodel = "tiny.irf"\n'
        f'[[camera]]\nname = "top"\nuri = "0"\n[trigger]\n{trigger}\n'
    )
    return read_config(tmp_path / "line.toml")


@pytest.mark.parametrize(
    ("trigger", "kind"),
    [
        ("", type(None)),
        ("kind = 'software'", SoftwareTrigger),
        ("kind = 'http'", HttpTrigger),
        ("kind = 'camera'\nline = 'Line1'", CameraTrigger),
        ("kind = 'mqtt'\nhost = '10.0.0.5'", MqttTrigger),
    ],
)
def test_triggers_are_opened_by_their_kind(tmp_path: Path, trigger: str, kind: type) -> None:
    if kind is MqttTrigger:
        pytest.importorskip("paho.mqtt.client")
    assert type(open_trigger(config(tmp_path, trigger), [])) is kind


def test_the_handshake_of_a_plc_needs_one_output_that_the_plc_reads(tmp_path: Path) -> None:
    pytest.importorskip("pymodbus")
    plc, file = (
        open_output("plc", {"kind": "modbus", "port": 50201}),
        open_output("log", {"kind": "jsonl", "path": "-"}),
    )
    trigger = open_trigger(config(tmp_path, "kind = 'plc'"), [plc, file])
    assert isinstance(trigger, Handshake)
    assert plc.handshake is trigger  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=r"line\.toml: trigger\.kind: plc needs one output"):
        open_trigger(config(tmp_path, "kind = 'plc'"), [file])
