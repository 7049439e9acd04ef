"""One opened camera at work: a thread that reads it, and closes it whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from edgeirf.runtime.sources.camera import Camera
from edgeirf.runtime.sources.frame import Frame

_POLL_S = 0.1


class Session:
    """Reads a camera until it is gone, or until nobody wants its frames any more.

    A read may hang in the camera's library for ever. Then :attr:`silent_for` grows, and the session can be left: its
    thread closes the camera when the read returns, and gives no more frames.

    Args:
        name: of the source.
        camera: belongs to the session from now on.
        give: takes each frame, with the session that it is from.
        explain: one line for an exception of the camera's library.
    """

    def __init__(
        self,
        name: str,
        camera: Camera,
        give: Callable[[Session, Frame], None],
        explain: Callable[[Exception], str],
    ) -> None:
        self.camera = camera
        self.finished = threading.Event()
        self.reason: str | None = None
        self.left = False
        self._give = give
        self._explain = explain
        self._alive_at = monotonic()
        threading.Thread(target=self._run, name=f"camera {name}", daemon=True).start()

    @property
    def silent_for(self) -> float:
        """Seconds since the last sign of life."""
        return monotonic() - self._alive_at

    def leave(self) -> None:
        """Wants no more frames."""
        self.left = True

    def _run(self) -> None:
        try:
            self._read_all()
        except Exception as error:  # whatever a camera's library does, the reader must hear of it at once
            self.reason = self._explain(error)
        finally:
            with suppress(Exception):  # a camera that is gone may fail to close
                self.camera.close()
            self.finished.set()

    def _read_all(self) -> None:
        while not self.left:
            read = self.camera.read(_POLL_S)
            if read.frame is not None or self.camera.awaits_trigger:
                self._alive_at = monotonic()
            if read.frame is not None:
                self._give(self, read.frame)
            elif read.state != "timeout":
                self.reason = read.detail
                return
