"""Saves pictures of rejected parts."""

from __future__ import annotations

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
from edgeirf.runtime.sinks.sink import Record, Sink
from edgeirf.runtime.sources.frame import Frame
from edgeirf.verdict import Verdict

QUEUE = 8
"""Rejects that may wait to be written; with more of them the line waits, so that no reject is lost."""


class RejectSaver(Sink):
    """Saves for each reject the frame (``NAME.png``) and the heat map over it (``NAME_overlay.jpg``).

    The frame is saved unchanged; Bayer and NV12 frames are saved in the colours that were inspected.

    A thread draws, encodes and writes. A frame that was not inspected has no heat map; a frame that could not be read
    is not saved.

    Args:
        folder: created when it does not exist.
        everything: save good parts too.

    Raises:
        EdgeirfError: the folder cannot be created.
    """

    needs = frozenset({"frame", "map"})

    def __init__(self, folder: str, everything: bool = False) -> None:
        self._folder = Path(folder)
        self._everything = everything
        self._queue: Queue[Record | None] = Queue(QUEUE)
        self._error: EdgeirfError | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
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
        _write_picture(self._folder / f"{name}.png", image, cv2.IMWRITE_PNG_COMPRESSION, 1)
        if record.map is not None:
            heat = overlay(image, record.map, verdict.pixel_threshold or 0.0, verdict.regions)
            _write_picture(self._folder / f"{name}_overlay.jpg", heat, cv2.IMWRITE_JPEG_QUALITY, 92)

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


def _write_picture(path: Path, image: Any, option: int, value: int) -> None:
    done, data = cv2.imencode(path.suffix, image, [option, value])
    if not done:
        raise EdgeirfError(f"cannot write {path}: OpenCV does not encode it")
    write_bytes(path, data.tobytes())
