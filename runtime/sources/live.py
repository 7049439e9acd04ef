"""Cameras and network streams: the newest frame wins, and what is lost is counted."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, Protocol

from edgeirf.errors import FrameError, SourceError
from edgeirf.runtime.sources.address import without_secrets
from edgeirf.runtime.sources.frame import Frame
from edgeirf.runtime.sources.video import size_change

QUEUE = 2
"""Frames that may wait for the detector: one more than none, so that a short hiccup costs no part."""
FAILURES = 5
"""Reads that may fail one after another before the camera counts as gone."""


class Grabber(Protocol):
    """What is used of ``cv2.VideoCapture``."""

    def grab(self) -> bool:
        """Waits for the next frame."""
        ...

    def retrieve(self) -> tuple[bool, Any]:
        """Decodes the grabbed frame.

        Raises:
            FrameError: it came and cannot be decoded; the message says why.
        """
        ...

    def release(self) -> None:
        """Closes the camera."""
        ...


class LiveSource:
    """Grabs on a thread of its own; see :class:`edgeirf.runtime.sources.Source`.

    A read that fails is no part: only when the camera goes on do the frames it failed to give become errors. When it
    does not, the camera is gone, and the source ends with that.

    Args:
        name: as it may be shown, see :func:`edgeirf.runtime.sources.address.shown`.
        capture: an open ``cv2.VideoCapture``.
        timeout: seconds without any frame after which the camera counts as gone.
        size: ``(height, width)`` of its frames, None when unknown.
        address: what not to show where a library's message holds it.
    """

    total: int | None = None

    def __init__(
        self, name: str, capture: Grabber, timeout: float, size: tuple[int, int] | None = None, address: str = ""
    ) -> None:
        self.name = name
        self.size = size
        self._address = address
        self._shape: tuple[int, ...] | None = None
        self.dropped = 0
        self._capture = capture
        self._timeout = timeout
        self._waiting: deque[Frame] = deque()
        self._arrived = threading.Condition()
        self._stopped = False
        self._ended: str | None = None
        self._thread = threading.Thread(target=self._grab_all, name=f"capture {name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> bool:
        """Whether a frame has come that nobody has taken."""
        return bool(self._waiting)

    def __iter__(self) -> Iterator[Frame]:
        """Frames as they come, never one older than the newest :data:`QUEUE`.

        Raises:
            SourceError: the camera is gone or says nothing any more.
        """
        while (frame := self._take()) is not None:
            yield frame

    def _take(self) -> Frame | None:
        deadline = perf_counter() + self._timeout
        while not self._stopped:
            with self._arrived:
                if not self._waiting and self._ended is None:
                    # Short waits, so that stop() need not lock anything: it is called from signal handlers.
                    self._arrived.wait(0.1)
                if self._waiting:
                    return self._waiting.popleft()
                if self._ended is not None:
                    raise SourceError(self._ended)
            if perf_counter() > deadline:
                raise SourceError(f"{self.name} has given no frame for {self._timeout:g} s: check camera and cable")
        return None

    def _grab_all(self) -> None:
        ended = f"{self.name} gives no more frames: the camera is gone or the stream has ended"
        try:
            self._grab_until_gone()
        except Exception as error:  # whatever a camera's library does, the reader must hear of it at once
            reason = without_secrets(" ".join(str(error).split()), self._address)
            ended = f"{self.name} failed: {type(error).__name__}: {reason}"
        with self._arrived:
            self._ended = ended
            self._arrived.notify()

    def _grab_until_gone(self) -> None:
        missed: list[Frame] = []
        number, undecoded = 0, 0
        while not self._stopped and max(len(missed), undecoded) < FAILURES:
            frame, came = self._grab(number)
            number += 1
            if not came:
                missed.append(frame)
                continue
            undecoded = undecoded + 1 if frame.error else 0
            for each in (*missed, frame):
                self._add(each)
            missed.clear()

    def _add(self, frame: Frame) -> None:
        with self._arrived:
            if len(self._waiting) >= QUEUE:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(frame)
            self._arrived.notify()

    def _grab(self, number: int) -> tuple[Frame, bool]:
        """A frame, perhaps with its error, and whether the camera gave anything at all."""
        came = self._capture.grab()
        captured_at, clock = time.time(), perf_counter()
        image: Any = None
        error = "the camera gave no frame"
        try:
            done, image = self._capture.retrieve() if came else (False, None)
        except FrameError as refused:
            done, error = False, f"the frame {refused}"
        if done:
            self._shape = self._shape or image.shape
            problem = size_change(self._shape, image.shape)
            if problem is None:
                return Frame(image, number, self.name, captured_at, clock=clock), True
            error = problem
        return Frame(None, number, self.name, captured_at, f"{self.name}: {error}", clock=clock), came

    def stop(self) -> None:
        """Ends within a tenth of a second."""
        self._stopped = True

    def close(self) -> None:
        """Closes the camera, unless a read hangs in it: that thread then ends with the process."""
        self._stopped = True
        self._thread.join(timeout=2.0)
        if not self._thread.is_alive():
            self._capture.release()


def sleep_until(moment: float, stopped: Callable[[], bool]) -> None:
    """Sleeps until ``time.perf_counter()`` is ``moment``, or ``stopped`` says so, checked every 0.1 s."""
    while (left := moment - perf_counter()) > 0 and not stopped():
        time.sleep(min(left, 0.1))
