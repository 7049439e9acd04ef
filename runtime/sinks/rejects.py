"""Pictures of what was rejected."""

from __future__ import annotations

import re
import threading
from datetime import datetime, timezone
from pathlib import Path
from queue import Queue
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import EdgeirfError
from edgeirf.files import write_bytes
from edgeirf.runtime.imaging.pixel_format import to_bgr
from edgeirf.runtime.render.overlay import overlay
from edgeirf.runtime.sources.frame import Frame
from edgeirf.verdict import Verdict

QUEUE = 8
"""Rejects that may wait to be written; the line waits when there are more, for none may be lost."""


class RejectSaver:
    """Saves for each reject the frame (``NAME.png``) and the heat map over it (``NAME_overlay.jpg``).

    The frame is saved as it is, but for Bayer and NV12, which are saved in the colours that were inspected.

    Encoding and writing happen on a thread. A frame that could not be inspected has no heat map, and one that could
    not be read leaves nothing to save.

    Args:
        folder: made when it is not there.
        pixel_threshold: of the detector; fixes the colours.
        everything: save good parts too.

    Raises:
        EdgeirfError: the folder cannot be made.
    """

    def __init__(self, folder: str, pixel_threshold: float, everything: bool = False) -> None:
        self._folder = Path(folder)
        self._threshold = pixel_threshold
        self._everything = everything
        self._queue: Queue[tuple[Frame, Verdict, NDArray[np.float32] | None] | None] = Queue(QUEUE)
        self._error: EdgeirfError | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EdgeirfError(f"cannot make the folder {folder}: {error.strerror or error}") from None
        self._thread = threading.Thread(target=self._work, name="save rejects", daemon=True)
        self._thread.start()

    def write(self, frame: Frame, verdict: Verdict) -> None:
        """Takes a reject; waits while :data:`QUEUE` others are being written."""
        self._complain()
        if (verdict.reject or self._everything) and frame.image is not None:
            # The map is fetched here, because on a GPU the next frame overwrites it.
            self._queue.put((frame, verdict, verdict.map() if verdict.status == "ok" else None))

    def close(self) -> None:
        """Writes what was taken."""
        self._queue.put(None)
        self._thread.join()
        self._complain()

    def _complain(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                if self._error is None:
                    self._save(*job)
            except EdgeirfError as error:
                self._error = error
            except Exception as error:
                self._error = EdgeirfError(f"cannot save a reject: {type(error).__name__}: {error}")

    def _save(self, frame: Frame, verdict: Verdict, scored_map: NDArray[np.float32] | None) -> None:
        if frame.image is None:
            return
        name, image = file_name(frame), frame.image
        if frame.pixel_format is not None and verdict.status == "ok":  # else it may not be what it was said to be
            image = to_bgr(image, frame.pixel_format)
        _write_picture(self._folder / f"{name}.png", image, cv2.IMWRITE_PNG_COMPRESSION, 1)
        if scored_map is not None:
            heat = overlay(image, scored_map, self._threshold, verdict.regions)
            _write_picture(self._folder / f"{name}_overlay.jpg", heat, cv2.IMWRITE_JPEG_QUALITY, 92)


def file_name(frame: Frame) -> str:
    """A plain name that no other frame of the source has: time of capture, number, name of the frame's file."""
    parts = [f"{frame.frame_id:06d}"]
    if frame.captured_at is not None:
        moment = datetime.fromtimestamp(frame.captured_at, timezone.utc)
        parts.insert(0, f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}Z")
    elif stem := re.sub(r"[^A-Za-z0-9-]+", "-", Path(frame.source).stem).strip("-"):
        parts.append(stem[:80])
    return "_".join(parts)


def _write_picture(path: Path, image: Any, option: int, value: int) -> None:
    done, data = cv2.imencode(path.suffix, image, [option, value])
    if not done:
        raise EdgeirfError(f"cannot write {path}: OpenCV does not encode it")
    write_bytes(path, data.tobytes())
