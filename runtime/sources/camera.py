"""The seam to one kind of camera: an opened device that is read by one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from edgeirf.runtime.sources.frame import Frame, Read


class Camera(Protocol):
    """An opened camera or stream. A thread of its own reads and closes it.

    Attributes:
        size: ``(height, width)`` in pixels of the frames to come, None when unknown.
        awaits_trigger: silence is normal; a read that times out has asked the camera whether it is still there.
    """

    size: tuple[int, int] | None
    awaits_trigger: bool

    def read(self, timeout: float) -> Read:
        """Waits for the next frame, about ``timeout`` seconds where its library lets it.

        ``error`` means that this camera is gone, and has to be opened again.
        """
        ...

    def close(self) -> None:
        """Frees the device; called once, also after an error."""
        ...


@runtime_checkable
class Triggerable(Protocol):
    """A camera that takes a picture when it is asked for one."""

    def fire(self) -> None:
        """Takes one picture; called from any thread.

        Raises:
            SourceError: the camera does not answer.
        """
        ...


@runtime_checkable
class Watchable(Protocol):
    """A source that hands out frames as they come; :class:`edgeirf.runtime.sources.live.LiveSource` is one."""

    def watch(self, watcher: Callable[[Frame], None]) -> None:
        """Hands each frame to ``watcher`` before anyone can read it."""
        ...
