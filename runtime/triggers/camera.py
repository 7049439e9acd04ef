"""A camera with a hardware trigger: each frame is a part, and so is each frame that was lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from edgeirf.part import PartId
from edgeirf.runtime.sources.frame import Frame


class Watchable(Protocol):
    """A source that hands out frames as they come; :class:`edgeirf.runtime.sources.live.LiveSource` is one."""

    def watch(self, watcher: Callable[[Frame], None]) -> None:
        """Hands each frame to ``watcher`` before anyone can read it."""
        ...


class CameraTrigger:
    """Announces the part that each frame shows, before the frame can be read.

    The camera counts its frames. A gap means that parts came by whose frames were lost: they are announced too, and
    the line rejects them for want of their frame. Parts that pass while the camera is away are not known here.

    Args:
        source: of the frames.

    Attributes:
        refused: parts that the line of inspection was not ready for.
    """

    def __init__(self, source: Watchable) -> None:
        self.refused = 0
        self._source = source
        self._announce: Callable[[PartId | None, float], bool] | None = None
        self._last: int | None = None
        self._watching = False

    def start(self, announce: Callable[[PartId | None, float], bool]) -> None:
        """Announces parts from now on."""
        self._announce = announce
        if not self._watching:
            self._watching = True
            self._source.watch(self._take)

    def stop(self) -> None:
        """Announces no more."""
        self._announce = None

    def _take(self, frame: Frame) -> None:
        number = frame.frame_id if isinstance(frame.frame_id, int) else None
        lost = max(0, number - self._last - 1) if number is not None and self._last is not None else 0
        self._last = number
        announce = self._announce
        if announce is None or frame.captured_monotonic is None:
            return
        for _ in range(1 + lost):
            if not announce(None, frame.captured_monotonic):
                self.refused += 1
