"""``line.toml``: what a file may say, and what is wrong with one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from edgeirf.runtime.line.config import LineConfig, read_config
from edgeirf.runtime.line.toml_table import ConfigErrors
from edgeirf.runtime.outputs import factory
from edgeirf.runtime.triggers.settings import FreeSettings, HttpSettings

SMALL = """[detector]
model = "bottle.irf"
[[camera]]
name = "top"
uri = "0"
"""


@dataclass(frozen=True)
class LampSettings:
    pin: int


@pytest.fixture(autouse=True)
def lamps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one kind of output here is a lamp."""
    monkeypatch.setattr(factory, "KINDS", {"lamp": LampSettings})


def read(tmp_path: Path, text: str) -> LineConfig:
    path = tmp_path / "line.toml"
    path.write_text(text)
    return read_config(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as found:
        read(tmp_path, text)
    return [problem.removeprefix(f"{tmp_path}/") for problem in found.value.problems]


def test_a_small_file_is_enough(tmp_path: Path) -> None:
    config = read(tmp_path, SMALL)
    assert config.detector.model == tmp_path / "bottle.irf"
    assert [camera.name for camera in config.cameras] == ["top"]
    assert config.trigger == FreeSettings()
    assert config.line.recover == "operator"


def test_a_full_file_is_read(tmp_path: Path) -> None:
    text = f"""[line]
name = "cell 4"
deadline_ms = 200
recover = "self"
{SMALL}staleness_ms = 20
[[camera]]
name = "side"
uri = "rtsp://10.0.0.5/live"
policy = "live"
[trigger]
kind = "http"
port = 0
[[output]]
kind = "lamp"
pin = 4
[[output]]
kind = "lamp"
name = "second"
pin = 5
[records]
audit = "audit.db"
"""
    config = read(tmp_path, text)
    assert config.line.deadline_ms == 200.0
    assert config.trigger == HttpSettings(port=0)
    assert [(output.name, output.settings) for output in config.outputs] == [
        ("lamp", LampSettings(4)),
        ("second", LampSettings(5)),
    ]
    assert config.records.audit == tmp_path / "audit.db"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["detector: model is missing", "line.toml:1: camera: a line needs at least one [[camera]]"]),
        (f"[lien]\n{SMALL}", ["line.toml:1: lien: there is no such table; known are line, detector"]),
        (f"{SMALL}[[camera]]\nname = 'top'\nuri = '1'\n[line]\ndeadline_ms = 5", ["another camera has the name 'top'"]),
        (f"{SMALL}[[output]]\nkind = 'lmap'", ["line.toml:7: output.kind: expected one of lamp, not 'lmap'"]),
        (f"{SMALL}[[output]]\nkind = 'lamp'", ["line.toml:6: output: pin is missing"]),
        (f"{SMALL}[trigger]\nkind = 'http'\n", ["deadline_ms is missing"]),
        (
            f"{SMALL}[trigger]\nkind = 'htpp'\n",
            ["line.toml:7: trigger.kind: expected one of free, software, plc, http"],
        ),
        (f"{SMALL}[[camera]]\nname = 'side'\nuri = '1'\n", ["deadline_ms is missing"]),
        (f"[line]\ncpu_takeover = true\n{SMALL}", ["line.toml:2: line.cpu_takeover: needs deadline_ms"]),
        (
            f"[line]\nparts = 'each'\ndeadline_ms = 9\n{SMALL}[trigger]\nkind = 'software'\n",
            ['line.toml:2: line.parts: "each" is for free-running cameras'],
        ),
        (
            f"[line]\ndeadline_ms = 9\n{SMALL}[trigger]\nkind = 'http'\nhost = '0.0.0.0'\n",
            ["line.toml:8: trigger: host 0.0.0.0 is open to the network"],
        ),
        (
            f"{SMALL.replace('bottle.irf', '')}[[camera]]\nname = ''\nuri = ''\n[records]\naudit = ''\n",
            [
                "line.toml:2: detector.model: is empty: fill it in",
                "line.toml:7: camera.name: is empty: fill it in",
                "line.toml:8: camera.uri: is empty: fill it in",
                "line.toml:10: records.audit: is empty: fill it in, or leave the key away",
            ],
        ),
        (
            f"[line]\ndeadline_ms = 9\n{SMALL}[trigger]\nkind = 'camera'\ncamera = 'bottom'\n",
            ["line.toml:10: trigger.camera: there is no such camera; known are top"],
        ),
        (f"[camera]\nuri = '0'\n{SMALL.replace('[[camera]]', '[records]')}", None),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, expected: list[str] | None) -> None:
    found = problems(tmp_path, text)
    if expected is not None:
        assert len(found) == len(expected), found
        assert all(part in line for part, line in zip(expected, found, strict=True)), found
    else:
        assert "write [[camera]], with two brackets, before each camera" in found[0]


def test_two_cameras_with_parts_of_their_own_need_no_deadline(tmp_path: Path) -> None:
    config = read(tmp_path, f"[line]\nparts = 'each'\n{SMALL}[[camera]]\nname = 'side'\nuri = '1'\n")
    assert len(config.cameras) == 2
