"""A video file as a source. Nothing is dropped, and an early end is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import cv2

from edgeirf.errors import SourceError
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.sources.frame import Frame

_COUNTED = frozenset({".mp4", ".m4v", ".mov", ".avi"})
"""Containers that store the number of frames; for others OpenCV reckons it from the duration, give or take one."""
_ATTEMPTS = 50
"""Reads that may fail one after another before the rest of the file is given up."""


class VideoFile:
    """Decodes a video with OpenCV's FFmpeg; see :class:`edgeirf.runtime.sources.Source`.

    ``VideoCapture.read`` says False both at the end and at a frame that it cannot decode, and goes on after the
    latter when asked again: so it is asked again as long as frames are due.

    Raises:
        SourceError: not a video, or so damaged that it cannot be opened.
    """

    dropped, waiting, size = 0, False, None

    def __init__(self, path: str) -> None:
        self.name = path
        self._capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceError(f"cannot open {path} as a video: not one, cut short, or of a kind OpenCV does not read")
        announced = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.total: int | None = round(announced) if 0 < announced < 1e9 else None
        self._stopped = False

    def __iter__(self) -> Iterator[Frame]:
        """Every frame; the ones that cannot be decoded come with their error.

        Raises:
            SourceError: at the end, when frames are missing there.
        """
        number = 0
        while not self._stopped:
            skipped, image = self._next(number)
            if image is None:
                break
            for lost in range(number, number + skipped):
                yield Frame(None, lost, self.name, error=f"{self.name}: frame {lost} cannot be decoded")
            yield Frame(image, number + skipped, self.name)
            number += skipped + 1
        tolerance = 0 if Path(self.name).suffix.lower() in _COUNTED else 1
        if not self._stopped and self.total is not None and number < self.total - tolerance:
            raise SourceError(f"{self.name} ends after {number} of {self.total} frames: it is cut short or damaged")

    def _next(self, number: int) -> tuple[int, Pixels | None]:
        """The next image and the number of frames before it that could not be decoded; None at the end."""
        due = _ATTEMPTS if self.total is None else min(_ATTEMPTS, self.total - number)
        for failed in range(max(due, 1)):
            done, image = self._capture.read()
            if done:
                return failed, cast(Pixels, image)
            if self.total is None:
                break
        return 0, None

    def stop(self) -> None:
        """Ends before the next frame."""
        self._stopped = True

    def close(self) -> None:
        """Closes the file."""
        self._capture.release()
