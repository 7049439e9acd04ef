"""The file that ``edgeirf init`` writes: it is read as it stands, and every comment in it is a key that exists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from edgeirf.errors import UsageError
from edgeirf.runtime.line.config import read_config
from edgeirf.runtime.line.template import Answers, line_toml
from edgeirf.runtime.outputs import factory
from edgeirf.runtime.triggers.settings import KINDS


@dataclass(frozen=True)
class LampSettings:
    pin: int
    mode: Literal["on", "off"]
    address: str
    level: float | None = None
    slow: bool = False
    colours: tuple[str, ...] = ("red",)


@pytest.fixture(autouse=True)
def lamps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "KINDS", {"lamp": LampSettings})


@pytest.mark.parametrize("trigger", sorted(KINDS))
@pytest.mark.parametrize("cameras", [("0",), ("test://?size=64", 'rtsp://h/"quoted"\\')])
def test_what_is_written_is_read(tmp_path: Path, trigger: str, cameras: tuple[str, ...]) -> None:
    path = tmp_path / "line.toml"
    path.write_text(line_toml(Answers("bottle.irf", cameras, trigger, 200, ("lamp", "lamp"))))
    config = read_config(path)
    assert tuple(camera.uri for camera in config.cameras) == cameras
    assert config.line.deadline_ms == 200
    assert isinstance(config.trigger, KINDS[trigger])
    assert [(output.name, output.settings) for output in config.outputs] == [
        ("lamp1", LampSettings(1, "on", "address")),
        ("lamp2", LampSettings(1, "on", "address")),
    ]


@pytest.mark.parametrize("trigger", sorted(KINDS))
def test_every_setting_in_a_comment_may_be_taken_out_of_it(tmp_path: Path, trigger: str) -> None:
    path = tmp_path / "line.toml"
    text = line_toml(Answers("bottle.irf", ("0",), trigger, None if trigger == "free" else 500, ("lamp",)))
    settings = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    assert settings.count("\n# ") < text.count("\n# ")
    path.write_text(settings)
    read_config(path)


@pytest.mark.parametrize(("trigger", "outputs"), [("bell", ()), ("free", ("bulb",))])
def test_kinds_that_are_not_there_are_said(trigger: str, outputs: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="choose one of"):
        line_toml(Answers("bottle.irf", ("0",), trigger, None, outputs))
