"""Frames of a triggered camera are parts; lost frames are parts as well."""

from __future__ import annotations

from collections.abc import Callable

from edgeirf.runtime.sources.frame import Frame
from edgeirf.runtime.triggers.camera import CameraTrigger


class Source:
    watcher: Callable[[Frame], None]

    def watch(self, watcher: Callable[[Frame], None]) -> None:
        self.watcher = watcher


def frame(number: int) -> Frame:
    return Frame(None, number, "camera", captured_monotonic=100.0 + number)


def test_each_frame_and_each_lost_one_is_a_part() -> None:
    trigger, parts = CameraTrigger(source := Source()), []
    trigger.start(lambda part_id, at: parts.append((part_id, at)) is None)
    for number in (0, 1, 4):
        source.watcher(frame(number))
    assert parts == [(None, 100.0), (None, 101.0), (None, 104.0), (None, 104.0), (None, 104.0)]
    trigger.stop()
    source.watcher(frame(5))
    assert len(parts) == 5


def test_what_the_line_is_not_ready_for_is_counted() -> None:
    trigger = CameraTrigger(source := Source())
    trigger.start(lambda part_id, at: False)
    source.watcher(frame(0))
    assert trigger.refused == 1
