"""A camera that is triggered by hardware: each frame is a part, and so is each frame that was lost."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.sources.camera import Watchable
from edgeirf.runtime.sources.frame import Frame, Source
from edgeirf.runtime.sources.reconnect import SourceEvent
from edgeirf.runtime.triggers.handshake import Control
from edgeirf.runtime.triggers.trigger import Announce

log = logging.getLogger("edgeirf")


@dataclass(frozen=True)
class CameraTriggerSettings:
    """A light barrier at the camera's own input.

    >>> CameraTriggerSettings(line="Line1").edge
    'rising'

    Attributes:
        camera: name of the ``[[camera]]`` whose frames are the parts; empty: the first one. The same edge triggers the
            other cameras, if there are any.
        line: input of every genicam camera that has no ``trigger=`` in its address; empty leaves the cameras as they
            are set.
        edge: from low to high, or from high to low.

    Raises:
        UsageError: a value that does not fit.
    """

    camera: str = ""
    line: str = ""
    edge: Literal["rising", "falling"] = "rising"

    def __post_init__(self) -> None:
        if self.line in ("off", "Software"):
            raise UsageError(f"line is an input of the camera, Line1 for one, not {self.line}")

    def address(self, uri: str) -> str:
        """The address of a camera with its trigger.

        >>> CameraTriggerSettings(line="Line1").address("genicam://10.0.0.5?gain=2")
        'genicam://10.0.0.5?gain=2&trigger=Line1&activation=RisingEdge'
        """
        if not self.line or not uri.startswith("genicam://") or "trigger=" in uri:
            return uri
        edge = "RisingEdge" if self.edge == "rising" else "FallingEdge"
        return f"{uri}{'&' if '?' in uri else '?'}trigger={self.line}&activation={edge}"


class CameraTrigger:
    """Announces the part that each frame shows, before the frame can be read.

    The camera counts its frames. A gap means that parts came by whose frames were lost: they are announced too, and
    the line rejects them for want of their frame. Parts that pass while the camera is away are not known: the line is
    in FAULT then.

    Attributes:
        control: the line.
        refused: parts that the line of inspection was not ready for.
    """

    def __init__(self) -> None:
        self.control: Control | None = None
        self.refused = 0
        self._announce: Announce | None = None
        self._last: int | None = None

    def attach(self, source: Source) -> None:
        """Watches the camera, which was opened just now.

        Raises:
            SourceError: it is no camera.
        """
        self._last = None
        if not isinstance(source, Watchable):
            raise SourceError(
                f"trigger: {source.name} is no camera: kind camera takes each frame of a camera for a part"
            )
        source.watch(self._take)

    def heard(self, event: SourceEvent) -> None:
        """The camera is lost, or back."""
        if event.state == "lost" and self._announce is not None and self.control is not None:
            self.control.fault(f"trigger: parts pass unannounced: {event.detail}")

    def start(self, announce: Announce) -> None:
        """Announces parts from now on."""
        self._announce = announce

    def stop(self) -> None:
        """Announces no more."""
        self._announce = None

    def _take(self, frame: Frame) -> None:
        number = frame.frame_id if isinstance(frame.frame_id, int) else None
        lost = max(0, number - self._last - 1) if number is not None and self._last is not None else 0
        self._last = number
        announce = self._announce
        if announce is None:
            return
        at = frame.clock if frame.captured_monotonic is None else frame.captured_monotonic
        for _ in range(1 + lost):
            if not announce(None, at):
                self.refused += 1
