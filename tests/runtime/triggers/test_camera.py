"""Frames of a triggered camera are parts; lost frames are parts as well, and a lost camera is a FAULT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.sources import SourceEvent, open_source
from edgeirf.runtime.sources.frame import Frame
from edgeirf.runtime.triggers.camera import CameraTrigger, CameraTriggerSettings


class Source:
    name, watcher = "camera", None

    def watch(self, watcher: Callable[[Frame], None]) -> None:
        self.watcher = watcher


def watched() -> tuple[CameraTrigger, Any]:
    trigger, source = CameraTrigger(), Source()
    trigger.attach(source)  # type: ignore[arg-type]
    return trigger, source.watcher


def frame(number: int) -> Frame:
    return Frame(None, number, "camera", captured_monotonic=100.0 + number)


def test_each_frame_and_each_lost_one_is_a_part() -> None:
    (trigger, watcher), parts = watched(), []
    trigger.start(lambda part_id, at: parts.append((part_id, at)) is None)
    for number in (0, 1, 4):
        watcher(frame(number))
    assert parts == [(None, 100.0), (None, 101.0), (None, 104.0), (None, 104.0), (None, 104.0)]
    trigger.attach(source := Source())  # type: ignore[arg-type]
    source.watcher(frame(9))  # opened anew: the camera's numbers begin somewhere else
    assert parts[5:] == [(None, 109.0)]
    trigger.stop()
    source.watcher(frame(10))
    assert len(parts) == 6


def test_what_the_line_is_not_ready_for_is_counted() -> None:
    trigger, watcher = watched()
    trigger.start(lambda part_id, at: False)
    watcher(frame(0))
    assert trigger.refused == 1


def test_a_camera_that_is_lost_is_a_fault_while_parts_are_announced() -> None:
    class Line:
        def __init__(self) -> None:
            self.faults: list[str] = []

        def fault(self, reason: str) -> None:
            self.faults.append(reason)

    trigger, line = CameraTrigger(), Line()
    trigger.control = line  # type: ignore[assignment]
    lost = SourceEvent("lost", "camera top", "camera top has given no frame for 2 s")
    trigger.heard(lost)
    trigger.start(lambda part_id, at: True)
    trigger.heard(SourceEvent("back", "camera top", "camera top is back"))
    assert line.faults == []
    trigger.heard(lost)
    assert line.faults == ["trigger: parts pass unannounced: camera top has given no frame for 2 s"]


def test_files_have_no_trigger() -> None:
    with pytest.raises(SourceError, match="is no camera"):
        CameraTrigger().attach(open_source("test://?count=1&size=64"))


@pytest.mark.parametrize(
    ("settings", "uri", "expected"),
    [
        ({"line": "Line1"}, "genicam://1", "genicam://1?trigger=Line1&activation=RisingEdge"),
        ({"line": "Line2", "edge": "falling"}, "genicam://1?fps=9", "&trigger=Line2&activation=FallingEdge"),
        ({"line": "Line1"}, "genicam://1?trigger=Line4", "genicam://1?trigger=Line4"),
        ({"line": "Line1"}, "v4l2:///dev/video0", "v4l2:///dev/video0"),
        ({}, "genicam://1", "genicam://1"),
    ],
)
def test_the_input_of_the_camera_is_set_in_its_address(settings: Any, uri: str, expected: str) -> None:
    assert CameraTriggerSettings(**settings).address(uri).endswith(expected)


@pytest.mark.parametrize("line", ["off", "Software"])
def test_what_is_no_input_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match="line is an input"):
        CameraTriggerSettings(line=line)
