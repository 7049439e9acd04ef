"""The cameras of a line under watch for drift. What is usual may be kept over restarts."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from edgeirf.errors import EdgeirfError
from edgeirf.part import PartVerdict
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.imaging.pixel_format import to_bgr
from edgeirf.runtime.monitor.monitor import FALSE_ALARM, Monitor
from edgeirf.runtime.sources.frame import Frame

log = logging.getLogger("edgeirf")
SAVE_S: Final = 300.0
"""What is usual is written so often, and at the end."""


class DriftWatch:
    """One monitor a camera, all of them seen as one. Implements :class:`edgeirf.runtime.line.plan.Watch`.

    >>> watch = DriftWatch(cameras=1)
    >>> with edgeirf.load("bottle.irf", device="cpu") as detector:
    ...     watch.add("top", detector)
    >>> watch.watch(PartVerdict(1, reject=True, reason="late"), {}) is None
    True

    Args:
        cameras: of the line; the mean time to a false alarm is that of one monitor.
        folder: has what is usual, a file a camera; None: every start learns anew.
    """

    def __init__(self, cameras: int, folder: Path | None = None) -> None:
        self._cameras, self._folder = cameras, folder
        self._monitors: dict[str, Monitor] = {}
        self._saved_at = time.monotonic()

    def add(self, view: str, detector: Detector) -> None:
        """Watches a camera; one that was watched before a fault goes on."""
        if view in self._monitors:
            return
        monitor = Monitor(detector, view, FALSE_ALARM * self._cameras)
        if self._folder is not None:
            try:
                monitor.restore(self._file(self._folder, view))
            except EdgeirfError as error:  # decoration: the line starts all the same
                log.warning("%s: drift is learned anew: %s", view, error)
        self._monitors[view] = monitor

    def watch(self, part: PartVerdict, frames: Mapping[str, Frame]) -> str | None:
        """The reasons of all monitors; several cameras are named.

        Raises:
            EdgeirfError: what is usual cannot be written; the part was watched.
        """
        reasons = []
        for view, monitor in self._monitors.items():
            frame = frames.get(view)
            pixels = None if frame is None or frame.image is None else to_bgr(frame.image, frame.pixel_format)
            reason = monitor.watch(part, pixels)
            if reason is not None:
                reasons.append(reason if len(self._monitors) == 1 else f"{view}: {reason}")
        if time.monotonic() - self._saved_at >= SAVE_S:
            self._save()
        return "; ".join(reasons) or None

    def close(self) -> None:
        """Writes what is usual; a disk that does not take it is one line in the log."""
        try:
            self._save()
        except EdgeirfError as error:
            log.warning("what is usual on this line is not kept: %s", error)

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EdgeirfError(f"cannot create {self._folder}: {error.strerror}: check rights and disk") from None
        for view, monitor in self._monitors.items():
            monitor.save(self._file(self._folder, view))

    @staticmethod
    def _file(folder: Path, view: str) -> Path:
        return folder / f"{quote(view, safe='')}.json"
