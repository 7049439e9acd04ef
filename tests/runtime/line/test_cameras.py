"""From ``[[camera]]`` to a camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeirf.runtime.line import cameras
from edgeirf.runtime.line.cameras import address, is_live, open_camera, station_of
from edgeirf.runtime.line.config import CameraSettings, LineConfig, read_config
from edgeirf.runtime.sources import Reconnect
from edgeirf.runtime.triggers.camera import CameraTrigger


def config(tmp_path: Path, uri: str, camera: str = "", trigger: str = "") -> LineConfig:
    (tmp_path / "line.toml").write_text(
        f'[line]\ndeadline_ms = 5000\n[detector]\nmodel = "tiny.irf"\n[[camera]]\nname = "top"\nuri = "{uri}"\n'
        f'{camera}\n[[camera]]\nname = "side"\nuri = "genicam://2"\n[trigger]\n{trigger}\n'
    )
    return read_config(tmp_path / "line.toml")


@pytest.mark.parametrize(
    ("uri", "policy", "live"),
    [
        ("0", "auto", True),
        ("0?width=640", "auto", True),
        ("v4l2:///dev/video0", "auto", True),
        ("rtsp://h/live", "auto", True),
        ("genicam://1", "auto", True),
        ("gst:videotestsrc", "auto", True),
        ("test://", "auto", False),
        ("parts", "auto", False),
        ("parts", "live", True),
        ("0", "file", False),
    ],
)
def test_cameras_are_live_and_files_are_not(uri: str, policy: Any, live: bool) -> None:
    assert is_live(CameraSettings("top", uri, policy=policy)) == live


@pytest.mark.parametrize(
    ("uri", "expected"),
    [("parts", "HERE/parts"), ("0?width=640", "0?width=640"), ("genicam://1", "genicam://1?trigger=Line1&activation=")],
)
def test_paths_are_relative_to_the_file_and_cameras_know_their_trigger(tmp_path: Path, uri: str, expected: str) -> None:
    file = config(tmp_path, uri, trigger="kind = 'camera'\nline = 'Line1'")
    assert address(file, file.cameras[0]).startswith(expected.replace("HERE", str(tmp_path)))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", Reconnect(0.5, 10.0, 60.0)),
        ("reconnect_s = 5\nretry_s = 2\nretry_longest_s = 1", Reconnect(2.0, 2.0, 5.0)),
        ("reconnect_s = 0", None),
    ],
)
def test_how_a_camera_comes_back_is_configured_and_the_trigger_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: str, expected: Reconnect | None
) -> None:
    class Source:
        name = "top"

        def watch(self, watcher: Any) -> None:
            asked["watcher"] = watcher

    asked: dict[str, Any] = {}
    monkeypatch.setattr(cameras, "open_source", lambda *_, **options: (asked.update(options), Source())[1])
    file, trigger = config(tmp_path, "genicam://1", keys, "kind = 'camera'"), CameraTrigger()
    open_camera(file, file.cameras[0], trigger)
    assert asked["reconnect"] == expected
    assert asked["on_event"] == trigger.heard
    assert asked["watcher"] == trigger._take


@pytest.mark.parametrize(("named", "leads"), [("", "top"), ("camera = 'side'", "side")])
def test_one_camera_announces_the_parts(tmp_path: Path, named: str, leads: str) -> None:
    file, trigger = (
        config(tmp_path, "genicam://1?trigger=Software", trigger=f"kind = 'camera'\n{named}"),
        CameraTrigger(),
    )
    stations = [station_of(file, camera, trigger) for camera in file.cameras]
    assert [station.name for station in stations if trigger in station.open.args] == [leads]  # type: ignore[attr-defined]
    assert [station.fires for station in stations] == [True, False]
