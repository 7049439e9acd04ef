"""Cameras and network streams: the newest frame wins, what is lost is counted, and a camera that is gone comes back."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import monotonic, perf_counter
from typing import Literal

from edgeirf.errors import EdgeirfError, SourceError
from edgeirf.runtime.sources.address import without_secrets
from edgeirf.runtime.sources.camera import Camera, Triggerable
from edgeirf.runtime.sources.frame import Frame, Read
from edgeirf.runtime.sources.reconnect import Listener, Reconnect, SourceEvent
from edgeirf.runtime.sources.session import Session
from edgeirf.runtime.sources.video import size_change

log = logging.getLogger("edgeirf")
QUEUE = 2
"""Frames that may wait for the detector: one more than none, so that a short hiccup costs no part."""


class LiveSource:
    """Reads a camera on a thread of its own; see :class:`edgeirf.runtime.sources.Source`.

    A camera that is gone is a state and no part. Without ``reopen`` the source then ends with an error.

    Args:
        name: as it may be shown, see :func:`edgeirf.runtime.sources.address.shown`.
        camera: open; the source closes it.
        timeout: seconds of silence after which the camera counts as gone.
        address: what not to show where a library's message holds it.
        reopen: opens the camera again.
        reconnect: when to do so.
        on_event: hears when the camera is lost and when it is back.
    """

    total: int | None = None

    def __init__(
        self,
        name: str,
        camera: Camera,
        timeout: float,
        address: str = "",
        reopen: Callable[[], Camera] | None = None,
        reconnect: Reconnect | None = None,
        on_event: Listener | None = None,
    ) -> None:
        self.name = name
        self.size = camera.size
        self.dropped = 0
        self.away: str | None = None
        self._timeout = timeout
        self._address = address
        self._reopen, self._reconnect = reopen, reconnect or Reconnect()
        self._on_event = on_event
        self._watchers: list[Callable[[Frame], None]] = []
        self._shape: tuple[int, ...] | None = None
        self._number = -1
        self._sequence: int | None = None
        self._waiting: deque[Frame] = deque()
        self._arrived = threading.Condition()
        self._stopped = False
        self._ended: str | None = None
        self._session = self._start(camera)
        self._thread = threading.Thread(target=self._supervise, name=f"watch {name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> bool:
        """Whether a frame has come that nobody has taken."""
        return bool(self._waiting)

    @property
    def awaits_trigger(self) -> bool:
        """Whether silence is normal."""
        return self._session.camera.awaits_trigger

    def __iter__(self) -> Iterator[Frame]:
        """Frames as they come, never one older than the newest :data:`QUEUE`.

        Raises:
            SourceError: the camera is gone, or says nothing any more.
        """
        while (read := self.read(1.0)).state != "end":
            if read.state == "error":
                raise SourceError(read.detail or f"{self.name} failed")
            if read.frame is not None:
                yield read.frame

    def read(self, timeout: float) -> Read:
        """See :class:`edgeirf.runtime.sources.Source`; a timeout while the camera is away says why it is."""
        deadline = monotonic() + timeout
        while not self._stopped:
            with self._arrived:
                left = deadline - monotonic()
                if not self._waiting and self._ended is None and left > 0:
                    # Short waits, so that stop() need not lock anything: it is called from signal handlers.
                    self._arrived.wait(min(left, 0.1))
                if self._waiting:
                    return Read("frame", replace(self._waiting.popleft(), dropped=self.dropped))
                if self._ended is not None:
                    return Read("error", detail=self._ended)
            if left <= 0:
                return Read("timeout", detail=self.away)
        return Read("end")

    def watch(self, watcher: Callable[[Frame], None]) -> None:
        """Hands each frame to ``watcher`` as it comes, on the camera's thread, before anyone can read it."""
        self._watchers.append(watcher)

    def fire(self) -> None:
        """Has the camera take one picture; see :class:`edgeirf.runtime.sources.camera.Triggerable`.

        Raises:
            SourceError: the camera is away, does not answer, or has no software trigger.
        """
        camera = self._session.camera
        if self.away is not None:
            raise SourceError(self.away)
        if not isinstance(camera, Triggerable):
            raise SourceError(f"{self.name} has no software trigger: use genicam://...?trigger=Software")
        camera.fire()

    def _start(self, camera: Camera) -> Session:
        self._sequence = None
        return Session(self.name, camera, self._add, self._explain)

    def _add(self, session: Session, frame: Frame) -> None:
        """Takes a frame of the camera: numbers it, counts what is lost before it, and queues it."""
        if session.left or self._stopped:
            return
        frame = self._numbered(frame)
        for watcher in self._watchers:
            watcher(frame)
        with self._arrived:
            if len(self._waiting) >= QUEUE:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(frame)
            self._arrived.notify()

    def _numbered(self, frame: Frame) -> Frame:
        lost = 0
        if frame.sequence is not None:
            lost = max(0, frame.sequence - self._sequence - 1) if self._sequence is not None else 0
            self._sequence = frame.sequence
        self.dropped += lost
        self._number += 1 + lost
        problem = None
        if frame.image is not None:
            self._shape = self._shape or frame.image.shape
            problem = size_change(self._shape, frame.image.shape)
        if problem is not None:
            frame = replace(frame, image=None, error=f"{self.name}: {problem}")
        return replace(frame, frame_id=self._number, source=self.name, dropped=self.dropped)

    def _supervise(self) -> None:
        try:
            while not self._stopped:
                reason = self._await_loss()
                if self._stopped:
                    break
                ended = reason if self._reopen is None else self._restore(reason, self._reopen)
                if ended is not None:
                    self._end(ended)
                    return
        except Exception as error:  # a listener or a library that raises ends the source, not only its thread
            self._end(self._explain(error))
        finally:
            self._session.leave()

    def _await_loss(self) -> str:
        """Waits until the camera is gone; the reason in one line."""
        while not self._stopped:
            if self._session.finished.wait(0.05):
                return self._session.reason or f"{self.name} gives no more frames"
            if self._session.silent_for > self._timeout:
                self._session.leave()
                return f"{self.name} has given no frame for {self._timeout:g} s: check camera and cable"
        return ""

    def _restore(self, reason: str, reopen: Callable[[], Camera]) -> str | None:
        """Opens the camera again and again; why the source ends, None when it does not."""
        lost_at, self.away = monotonic(), reason
        self._say("lost", reason)
        for delay in self._reconnect.delays():
            sleep_until(perf_counter() + delay, lambda: self._stopped)
            if self._stopped:
                return None
            try:
                self._session, self.away = self._start(reopen()), None
                self._say("back", f"{self.name} is back after {monotonic() - lost_at:.1f} s")
                return None
            except EdgeirfError as error:
                self.away = str(error)
            if self._reconnect.limit is not None and monotonic() - lost_at > self._reconnect.limit:
                break
        ended = f"{self.away}; gave up after {monotonic() - lost_at:.0f} s"
        self._say("gave_up", ended)
        return ended

    def _say(self, state: Literal["lost", "back", "gave_up"], detail: str) -> None:
        log.warning("%s", detail)
        if self._on_event is not None:
            self._on_event(SourceEvent(state, self.name, detail))

    def _end(self, reason: str) -> None:
        with self._arrived:
            self._ended = reason
            self._arrived.notify()

    def _explain(self, error: Exception) -> str:
        reason = without_secrets(" ".join(str(error).split()), self._address)
        return f"{self.name} failed: {type(error).__name__}: {reason}"

    def stop(self) -> None:
        """Ends within a tenth of a second."""
        self._stopped = True

    def close(self) -> None:
        """Closes the camera, unless a read hangs in it: its thread then closes it when the read returns."""
        self._stopped = True
        self._session.leave()
        self._thread.join(timeout=2.0)
        self._session.finished.wait(2.0)


def sleep_until(moment: float, stopped: Callable[[], bool]) -> None:
    """Sleeps until ``time.perf_counter()`` is ``moment``, or ``stopped`` says so, checked every 0.1 s."""
    while (left := moment - perf_counter()) > 0 and not stopped():
        time.sleep(min(left, 0.1))
