"""Saves pictures of rejected parts."""

from __future__ import annotations

import logging
import re
import threading
from datetime import datetime, timezone
from pathlib import Path
from queue import Queue
from typing import Any

import cv2

from edgeirf.errors import EdgeirfError
from edgeirf.files import write_bytes
from edgeirf.runtime.imaging.pixel_format import to_bgr
from edgeirf.runtime.render.overlay import overlay
from edgeirf.runtime.sinks.picture_ring import RESERVE, PictureRing
from edgeirf.runtime.sinks.sink import Record, Sink
from edgeirf.runtime.sources.frame import Frame
from edgeirf.verdict import Verdict

log = logging.getLogger("edgeirf")
QUEUE = 8
"""Rejects that may wait to be written; with more of them the line waits, so that no reject is lost."""


class RejectSaver(Sink):
    """Saves for each reject the frame (``NAME.png``) and the heat map over it (``NAME_overlay.jpg``).

    The frame is saved unchanged; Bayer and NV12 frames are saved in the colours that were inspected.

    A thread draws, encodes and writes. A frame that was not inspected has no heat map; a frame that could not be read
    is not saved.

    With a limit the oldest pictures make room for new ones, those of earlier runs too. 256 MB of the disk always stay
    free. Pictures that find no room are counted in :attr:`lost`; without a limit, the first one is an error.

    Args:
        folder: created when it does not exist.
        everything: save good parts too.
        limit_mb: MB (millions of bytes) that the pictures in the folder may have; None: no limit.

    Attributes:
        lost: pictures that found no room.

    Raises:
        EdgeirfError: the folder cannot be created.
    """

    needs = frozenset({"frame", "map"})

    def __init__(self, folder: str, everything: bool = False, limit_mb: int | None = None) -> None:
        self._folder, self._limit_mb = Path(folder), limit_mb
        self._everything = everything
        self.lost = 0
        self._queue: Queue[Record | None] = Queue(QUEUE)
        self._error: EdgeirfError | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._ring = PictureRing(self._folder, None if limit_mb is None else limit_mb * 10**6)
        except OSError as error:
            raise EdgeirfError(f"cannot create the folder {folder}: {error.strerror or error}") from None
        self._thread = threading.Thread(target=self._work, name="save rejects", daemon=True)
        self._thread.start()

    def wants(self, verdict: Verdict) -> bool:
        """Rejects, or everything."""
        return verdict.reject or self._everything

    def write(self, record: Record) -> None:
        """Takes a part; waits while :data:`QUEUE` others are being written."""
        self._raise_error()
        self._queue.put(record)

    def close(self) -> None:
        """Writes what was taken."""
        self._queue.put(None)
        self._thread.join()
        removed, self._ring.removed = self._ring.removed, 0
        if removed:
            log.warning("%s: %d old pictures were deleted, the limit is %d MB", self._folder, removed, self._limit_mb)
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                if self._error is None:
                    self._save(job)
            except EdgeirfError as error:
                self._error = error
            except Exception as error:
                self._error = EdgeirfError(f"cannot save a reject: {type(error).__name__}: {error}")

    def _save(self, record: Record) -> None:
        frame, verdict = record.frame, record.verdict
        if frame is None or frame.image is None:
            return
        name, image = self._free(file_name(frame)), frame.image
        if frame.pixel_format is not None and verdict.status == "ok":  # else the bytes may not be in that format
            image = to_bgr(image, frame.pixel_format)
        self._write(f"{name}.png", image, cv2.IMWRITE_PNG_COMPRESSION, 1)
        if record.map is not None:
            heat = overlay(image, record.map, verdict.pixel_threshold or 0.0, verdict.regions)
            self._write(f"{name}_overlay.jpg", heat, cv2.IMWRITE_JPEG_QUALITY, 92)

    def _write(self, name: str, image: Any, option: int, value: int) -> None:
        """Writes a picture where there is room for it."""
        path = self._folder / name
        done, data = cv2.imencode(path.suffix, image, [option, value])
        if not done:
            raise EdgeirfError(f"cannot write {path}: OpenCV does not encode it")
        if self._ring.makes_room(data.nbytes):
            write_bytes(path, data.tobytes())
            self._ring.add(path, data.nbytes)
            self.remark = None
            return
        why = f"there is no room for {path}: {RESERVE // 10**6} MB of the disk stay free"
        if self._limit_mb is None:
            raise EdgeirfError(f"{why}; free the disk, or set a limit so that old pictures make room")
        self.lost += 1
        self.remark = f"{self.lost} pictures are lost: {why}; free the disk or raise the limit of {self._limit_mb} MB"
        if self.lost == 1:
            log.warning(self.remark)

    def _free(self, name: str) -> str:
        """``name``, with a number where an earlier run left pictures of that name: no evidence is overwritten."""
        free, number = name, 1
        while any((self._folder / f"{free}{end}").exists() for end in (".png", "_overlay.jpg")):
            number += 1
            free = f"{name}_{number}"
        return free


def file_name(frame: Frame) -> str:
    """A plain name that no other frame of the source has: time of capture, number, name of the frame's file."""
    parts = [_plain(f"{frame.frame_id:0>6}")]
    if frame.captured_at is not None:
        moment = datetime.fromtimestamp(frame.captured_at, timezone.utc)
        parts.insert(0, f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}Z")
    elif stem := _plain(Path(frame.source or "").stem):
        parts.append(stem)
    return "_".join(parts)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-")[:80]
