"""OpenCV's captures as cameras: one grab is one frame, and failed grabs are counted."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from time import monotonic, perf_counter
from typing import Any, Protocol

import numpy as np

from edgeirf.errors import FrameError
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.sources.frame import Frame, Read
from edgeirf.runtime.sources.ring import Allocate, Ring

FAILURES = 5
"""Reads that may fail one after another before the camera counts as gone."""

TakenAt = Callable[[float], float]
"""From the ``time.monotonic()`` of the arrival to that of the capture."""


class Grabber(Protocol):
    """What is used of ``cv2.VideoCapture``."""

    def grab(self) -> bool:
        """Waits for the next frame."""
        ...

    def retrieve(self, image: Any = None, /) -> tuple[bool, Any]:
        """Decodes the grabbed frame, into ``image`` where that is given and fits.

        Raises:
            FrameError: it came and cannot be decoded; the message says why.
        """
        ...

    def release(self) -> None:
        """Closes the camera."""
        ...


class CaptureCamera:
    """Implements :class:`edgeirf.runtime.sources.camera.Camera`.

    A grab that fails is no part: only when the camera goes on do the frames it failed to give become errors. A grab
    waits as long as OpenCV does, whatever the timeout.

    Args:
        name: as it may be shown.
        capture: open.
        size: ``(height, width)`` of its frames, None when unknown.
        failures: grabs or frames that may fail one after another before the camera counts as gone.
        taken_at: when a frame was taken; the default takes the arrival.
        allocate: memory for the frames; None leaves it to OpenCV.
    """

    awaits_trigger = False

    def __init__(
        self,
        name: str,
        capture: Grabber,
        size: tuple[int, int] | None = None,
        failures: int = FAILURES,
        taken_at: TakenAt = float,
        allocate: Allocate | None = None,
    ) -> None:
        self.size = size
        self._name = name
        self._capture = capture
        self._failures = failures
        self._taken_at = taken_at
        self._ring = Ring(allocate) if allocate is not None else None
        self._due: deque[Frame] = deque()
        self._missing: list[Frame] = []
        self._undecoded = 0
        self._kind: tuple[tuple[int, ...], np.dtype[Any]] | None = None  # shape and type of the last frame

    def read(self, timeout: float) -> Read:
        """See :class:`edgeirf.runtime.sources.camera.Camera`."""
        if self._due:
            return Read("frame", self._due.popleft())
        if max(len(self._missing), self._undecoded) >= self._failures:
            return self._gone()
        frame, came = self._grab()
        if not came:
            self._missing.append(frame)
            return self._gone() if len(self._missing) >= self._failures else Read("timeout")
        self._undecoded = self._undecoded + 1 if frame.error else 0
        self._due.extend([*self._missing, frame])
        self._missing.clear()
        return Read("frame", self._due.popleft())

    def _gone(self) -> Read:
        return Read("error", detail=f"{self._name} gives no more frames: the camera is gone or the stream has ended")

    def _grab(self) -> tuple[Frame, bool]:
        """A frame, perhaps with its error, and whether the camera gave anything at all."""
        came = self._capture.grab()
        now, clock, arrived = time.time(), perf_counter(), monotonic()
        taken = self._taken_at(arrived) if came else arrived
        image: Pixels | None = None
        error: str | None = "the camera gave no frame"
        try:
            if came:
                image = self._retrieve()
        except FrameError as refused:
            error = f"the frame {refused}"
        text = f"{self._name}: {error}" if image is None else None
        return Frame(image, None, self._name, now - (arrived - taken), text, None, clock, taken), came

    def _retrieve(self) -> Pixels | None:
        """Decodes the grabbed frame, into the ring where there is one and it has room."""
        lent = self._ring.lend(*self._kind) if self._ring is not None and self._kind is not None else None
        done, image = self._capture.retrieve() if lent is None else self._capture.retrieve(lent)
        if not done or image is None:
            return None
        self._kind = (image.shape, image.dtype)
        pixels: Pixels = image
        return pixels

    def close(self) -> None:
        """See :class:`edgeirf.runtime.sources.camera.Camera`."""
        self._capture.release()
