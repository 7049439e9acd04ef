"""From ``[[camera]]`` to a camera."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.line_fakes import GOOD
from benchmarks.line_rig import Rig, outcomes, until
from edgeirf.errors import SourceError
from edgeirf.runtime.line import cameras, capture_thread
from edgeirf.runtime.line.cameras import address, is_live, open_camera, station_of
from edgeirf.runtime.line.config import CameraSettings, LineConfig, read_config
from edgeirf.runtime.line.line import Line
from edgeirf.runtime.sources import Reconnect, live, opening, session
from edgeirf.runtime.sources.frame import Frame, Read
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


class Clock:
    """The camera's clock: the test says how fast it goes."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """As of :func:`time.monotonic`."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Whoever sleeps looks at the clock afterwards."""
        time.sleep(0.002)

    def passes(self, true: Callable[[], Any]) -> None:
        """Half a second at a time until something is true."""
        until(lambda: true() or (time.sleep(0.005), setattr(self, "now", self.now + 0.5))[1])


class Plugged:
    """A camera with a cable. It gives a frame every 20 ms."""

    size, awaits_trigger = (8, 8), False

    def __init__(self, cable: SimpleNamespace) -> None:
        self._cable = cable
        cable.tried += 1
        if cable.out:
            raise SourceError("there is no /dev/video0")

    def read(self, timeout: float) -> Read:
        """A frame, while the cable is in."""
        time.sleep(0.02)
        if self._cable.out:
            return Read("error", detail="camera 0 gives no more frames: the camera is gone")
        return Read("frame", Frame(GOOD, None, "camera 0"))

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("stays_away", [False, True])
def test_a_camera_that_is_unplugged_for_30_s_degrades_the_line_and_one_that_stays_away_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stays_away: bool
) -> None:
    """With the settings that ``edgeirf init`` leaves as they are; only the clock of the camera runs faster."""
    clock = Clock()
    for module, names in ((live, ["monotonic", "perf_counter"]), (session, ["monotonic"])):
        for name in names:
            monkeypatch.setattr(module, name, clock.monotonic)
    monkeypatch.setattr(live, "time", clock)
    monkeypatch.setattr(capture_thread, "time", clock)
    cable = SimpleNamespace(out=False, tried=0)
    monkeypatch.setitem(opening._CAMERAS, "v4l2", lambda text, options: Plugged(cable))
    file = config(tmp_path, "0")
    rig = Rig(deadline_s=0.5)
    rig.plan = replace(rig.plan, stations=[replace(station_of(file, file.cameras[0], None), detector="")])
    rig.line = Line(rig.plan, rig.seen.append, lambda state, reason: rig.states.append(state))
    rig._thread.start()
    until(lambda: rig.line.state == "RUNNING" and rig.trigger.ready)
    assert outcomes([rig.part(1)]) == [(1, False, "inspected")]
    cable.out, gone = True, clock.now
    clock.passes(lambda: rig.line.state == "DEGRADED")
    assert outcomes([rig.part(2)]) == [(2, True, "missing_view")]
    clock.passes(lambda: rig.line.state == "FAULT" if stays_away else clock.now > gone + 30)
    assert 4 <= cable.tried <= 12  # waits grow to 10 s
    cable.out = False
    if stays_away:
        assert clock.now >= gone + 60
        assert not rig.trigger.fire(3)
        assert rig.line.acknowledge("Ana")
    clock.passes(lambda: rig.line.state == "RUNNING")
    until(lambda: rig.line.state == "RUNNING" and rig.trigger.ready)
    assert outcomes([rig.part(4)]) == [(4, False, "inspected")]
    rig.line.stop()
    rig.join()
    assert rig.states.count("FAULT") == stays_away
    assert rig.line.losses["top"] == 1
