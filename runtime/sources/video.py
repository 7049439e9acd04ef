"""A video file as a source. Nothing is dropped, and an early end is noticed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import cv2

from edgeirf.errors import FrameError, SourceError
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.sources.container import read_container
from edgeirf.runtime.sources.frame import Frame
from edgeirf.runtime.sources.in_order import InOrder
from edgeirf.runtime.sources.jpeg import jpeg_packets
from edgeirf.text import printable

_ATTEMPTS = 50
"""Reads that may fail one after another before the rest of the file is given up."""
_DOUBTFUL = 4
"""Frames at the end of a file that was cut which may be incomplete: frames are stored in another order than shown."""


class VideoFile(InOrder):
    """Decodes a video with OpenCV's FFmpeg; see :class:`edgeirf.runtime.sources.Source`.

    ``VideoCapture.read`` says False both at the end and at a frame that it cannot decode, and goes on after the
    latter when asked again: so it is asked again as long as frames are due. A number of frames counts only where the
    container stores it. Of a file whose end is missing the last frames are errors, for
    part of them may be invented; a JPEG shows by itself whether it is whole.

    Raises:
        SourceError: not a video, or so damaged that it cannot be opened.
    """

    dropped, waiting, size = 0, False, None

    def __init__(self, path: str) -> None:
        self.name = printable(path)
        try:
            container = read_container(path)
        except OSError as error:
            raise SourceError(f"cannot read {self.name}: {error.strerror or error}") from None
        capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise SourceError(
                f"cannot open {self.name} as a video: not one, cut short, or of a kind OpenCV does not read"
            )
        announced = capture.get(cv2.CAP_PROP_FRAME_COUNT) if container.frames is None else container.frames
        self.total: int | None = round(announced) if container.counted and 0 < announced < 1e9 else None
        self._cut = container.cut
        self._capture = jpeg_packets(capture)
        self._doubtful = _DOUBTFUL if self._cut and self._capture is capture else 0
        self._shape: tuple[int, ...] | None = None
        self._stopped = False

    def __iter__(self) -> Iterator[Frame]:
        """Every frame; the ones that cannot be decoded come with their error.

        Raises:
            SourceError: at the end, when frames are missing there.
        """
        number, held = 0, deque[Frame]()
        for frame in self._frames():
            number += 1
            held.append(frame)
            if len(held) > self._doubtful:
                yield held.popleft()
        if self._stopped:
            return
        for frame in held:
            error = f"{self.name}: the end of the file is missing, and frame {frame.frame_id} may be incomplete"
            yield replace(frame, image=None, error=frame.error or error)
        if self._cut or (self.total is not None and number < self.total):
            of = "" if self.total is None else f" of {self.total}"
            raise SourceError(f"{self.name} ends after {number}{of} frames: it is cut short or damaged")

    def _frames(self) -> Iterator[Frame]:
        number = 0
        while not self._stopped:
            skipped, found = self._next(number)
            if found is None:
                return
            for lost in range(number, number + skipped):
                yield Frame(None, lost, self.name, error=f"{self.name}: frame {lost} cannot be decoded")
            number += skipped
            yield self._checked(found, number)
            number += 1

    def _next(self, number: int) -> tuple[int, Pixels | FrameError | None]:
        """The next image, and the number of frames before it that could not be decoded; None at the end."""
        due = _ATTEMPTS if self.total is None else min(_ATTEMPTS, self.total - number)
        for failed in range(max(due, 1)):
            try:
                done, image = self._capture.read()
            except FrameError as error:
                return failed, error
            if done:
                return failed, cast(Pixels, image)
        return 0, None

    def _checked(self, found: Pixels | FrameError, number: int) -> Frame:
        if isinstance(found, FrameError):
            return Frame(None, number, self.name, error=f"{self.name}: frame {number} {found}")
        self._shape = self._shape or found.shape[:2]
        problem = size_change(self._shape, found.shape)
        return Frame(found if problem is None else None, number, self.name, error=problem and f"{self.name} {problem}")

    def stop(self) -> None:
        """Ends before the next frame."""
        self._stopped = True

    def close(self) -> None:
        """Closes the file."""
        self._capture.release()


def size_change(first: tuple[int, ...], now: tuple[int, ...]) -> str | None:
    """What is wrong with a frame of another size than the first of its stream; both ``(height, width, ...)``."""
    if first[:2] == now[:2]:
        return None
    return f"changed its frames from {first[1]}x{first[0]} to {now[1]}x{now[0]}: set the size back, or start again"
