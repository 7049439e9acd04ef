"""From a table of a configuration to an output."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import typing
from pathlib import Path
from typing import Any

import pytest

from edgeirf.errors import ConfigError, UsageError
from edgeirf.runtime.outputs import factory
from edgeirf.runtime.outputs.factory import KINDS, NEEDS, open_output
from edgeirf.runtime.outputs.jsonl import Jsonl, JsonlSettings
from edgeirf.runtime.outputs.output import Output
from edgeirf.runtime.outputs.spooled import Spooled

REQUIRED: dict[str, dict[str, object]] = {"jsonl": {"path": "v.jsonl"}, "webhook": {"url": "http://127.0.0.1/"}}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_opens_with_its_required_settings(kind: str) -> None:
    output = open_output("out", {"kind": kind, **REQUIRED.get(kind, {})})
    assert isinstance(output, Output)
    assert output.name == "out"
    output.safe()
    output.close()  # also before open


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_is_documented_and_typed(kind: str) -> None:
    settings = KINDS[kind]
    text = "".join(base.__doc__ or "" for base in settings.__mro__)
    assert set(typing.get_type_hints(settings)) == {field.name for field in dataclasses.fields(settings)}
    for field in dataclasses.fields(settings):
        assert field.name in text, f"{kind}: {field.name}"
    assert settings.__hash__ is not None


@pytest.mark.parametrize("kind", KINDS)
def test_the_document_has_every_kind_and_what_to_install(kind: str) -> None:
    document = (Path(__file__).parents[3] / "docs" / "outputs.md").read_text()
    install = f"`pip install 'edgeirf[{kind}]'`" if kind in NEEDS else "-"
    assert re.search(rf"^\| `{kind}` \|.*\| {re.escape(install)} \|", document, re.MULTILINE)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "kind is None: write one of jsonl, mqtt"),
        ({"kind": "carrier-pigeon"}, "kind is 'carrier-pigeon'"),
        ({"kind": ["mqtt"]}, "kind is"),
        ({"kind": "jsonl"}, "lacks 'path'"),
        ({"kind": "mqtt", "hots": "x"}, "unknown field 'hots' .*takes spool, spool_mb, host"),
        ({"kind": "mqtt", "port": "1883"}, "output plc.port is '1883'"),
        ({"kind": "mqtt", "port": 0}, "port is 1 to 65535"),
        ({"kind": "mqtt", "host": "user:secret@broker"}, "host is a name or an IP address alone: user and password"),
        ({"kind": "opcua", "host": "opc.tcp://10.0.0.5"}, "host is a name or an IP address alone"),
    ],
)
def test_a_wrong_table_is_one_line_that_names_the_key(table: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=f"^output plc.*{said}") as error:
        open_output("plc", table)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", NEEDS)
def test_a_missing_library_is_one_line_that_says_what_to_install(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        factory.importlib.util, "find_spec", lambda name, *_: None if name == NEEDS[kind][0] else found(name)
    )
    with pytest.raises(UsageError, match=rf"needs {NEEDS[kind][1]}: pip install 'edgeirf\[{kind}\]'$"):
        open_output("plc", {"kind": kind, **REQUIRED.get(kind, {})})


def test_a_record_with_a_spool_waits_on_disk(tmp_path: Path) -> None:
    table: dict[str, Any] = {"kind": "jsonl", "path": str(tmp_path / "v.jsonl")}
    assert isinstance(open_output("log", table), Jsonl)
    assert isinstance(open_output("log", {**table, "spool": str(tmp_path / "s")}), Spooled)
    assert isinstance(open_output("log", JsonlSettings(path="-")), Jsonl)
