"""Watches a line for drift: scores and frames, with the reason in words."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from edgeirf.errors import FrameError, UsageError
from edgeirf.part import PartVerdict
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.monitor.directions import Change, Kind, read_directions, usual_directions
from edgeirf.runtime.monitor.frames import FROZEN, LEARNED, FrameWatch
from edgeirf.runtime.monitor.memory import Memory, read_memory
from edgeirf.runtime.monitor.pvalues import ScoreWatch, Trend
from edgeirf.runtime.monitor.statistics import FrameStatistics
from edgeirf.verdict import Verdict

FALSE_ALARM: Final = 1_000_000
"""Parts: the mean time to a false alarm is at least so long."""

_CAUSES: Final[dict[Kind, tuple[str, str]]] = {
    "light": ("the light ages or a lens gets dirty", "the light changed"),
    "right": ("the camera or the parts move", "the camera moved"),
    "down": ("the camera or the parts move", "the camera moved"),
    "turn": ("the camera or the parts turn", "the camera moved"),
    "focus": ("the lens gets dirty or loosens", "the focus changed or the lens is dirty"),
    "noise": ("the sensor heats up or the gain rises", "the gain or the light changed"),
}
"""Of a slow and of a sudden change."""


@dataclass(frozen=True)
class DriftStatus:
    """What the monitor knows: plain data.

    Attributes:
        parts: watched so far.
        learned: passing parts that have said what the frames usually look like.
        to_learn: so many are needed; 0 where no frames are given.
        reason: why the line is DEGRADED; None where nothing drifts.
        changes: what changed, in words.
        scores: ``higher`` or ``lower`` where the scores drift.
        mean_rank: of the recent scores among earlier ones; 0.5 is usual. None before the first part.
        false_alarm_parts: mean number of parts to a false alarm, at least.
    """

    parts: int
    learned: int
    to_learn: int
    reason: str | None
    changes: tuple[str, ...]
    scores: Trend | None
    mean_rank: float | None
    false_alarm_parts: float


class Monitor:
    """Watches one detector.

    >>> import edgeirf, numpy as np
    >>> with edgeirf.load("bottle.irf", device="cpu") as detector:
    ...     monitor = Monitor(detector)
    ...     for part in range(4):
    ...         frame = np.full((64, 64, 3), 128, np.uint8)
    ...         verdict = detector(frame).verdict
    ...         reason = monitor.watch(PartVerdict(part, verdict.reject, "inspected", {"top": verdict}), frame)
    >>> reason
    'the same picture 4 times: check the camera and its driver'

    The mean time to a false alarm is at least ``false_alarm_parts``, over scores and frames together, while the parts
    of the line are exchangeable. Not thread-safe.

    Args:
        detector: its bundle says what is usual and what each change looks like.
        view: name of the view in the verdicts of parts; None takes the only one.
        false_alarm_parts: mean number of parts to a false alarm, at least.

    Raises:
        UsageError: ``false_alarm_parts`` is below 1000.
        BundleError: the golden pictures or the directions of the bundle are unusable.
    """

    def __init__(self, detector: Detector, view: str | None = None, false_alarm_parts: float = FALSE_ALARM) -> None:
        if not 1000 <= false_alarm_parts <= 1e12:
            raise UsageError(f"the mean number of parts to a false alarm lies above 1000, not at {false_alarm_parts:g}")
        bundle = detector.bundle
        self._bundle, self._product = bundle.digest, detector.product
        self._view, self._length = view, false_alarm_parts
        # The mean of the two sums has the property of each: half of the false alarms for scores, half for frames.
        self._scores = ScoreWatch(detector.calibration.scores, 2 * false_alarm_parts)
        measure = FrameStatistics(bundle.manifest.preprocess, bundle.golden["images"])  # type: ignore[arg-type]
        directions = read_directions(bundle, detector.product) or usual_directions()
        self._frames = FrameWatch(measure, directions, 2 * false_alarm_parts)
        self._parts = 0
        self._with_frames = False
        self._reason: str | None = None

    def watch(self, part: PartVerdict, frame: Pixels | None = None) -> str | None:
        """Takes the verdict on the next part.

        Args:
            part: what the line decided.
            frame: its picture, ``(H, W, 3)`` BGR or ``(H, W)`` gray; None watches the scores alone.

        Returns:
            why the line is DEGRADED, one line; None where nothing drifts.
        """
        verdict = self._verdict(part)
        if verdict is None or verdict.score is None:
            return self._reason
        self._parts += 1
        at = verdict.captured_at or part.decided_at or time.time()
        self._scores.add(verdict.score)
        if frame is not None:
            self._with_frames = True
            try:
                self._frames.add(frame, not verdict.reject, at)
            except FrameError:  # the detector has rejected it, with the reason
                return self._reason
        self._reason = self._why(at)
        return self._reason

    def status(self) -> DriftStatus:
        """What the monitor knows."""
        mean = self._scores.mean_rank
        return DriftStatus(
            self._parts,
            self._frames.learned,
            LEARNED if self._with_frames else 0,
            self._reason,
            tuple(change.text for change in self._frames.changes),
            self._scores.trend,
            None if mean != mean else mean,
            self._length,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Keeps what is usual on this line, for :meth:`restore` after a restart. The file is written atomically.

        Raises:
            EdgeirfError: it cannot be written.
        """
        Memory(self._bundle, self._product, self._parts, self._scores.memory, self._frames.memory).write(path)

    def restore(self, path: str | os.PathLike[str]) -> bool:
        """Takes up what was kept. An alarm that stood then is raised again when it still holds.

        Returns:
            False where there is no file, or where it is of another bundle or product: the line learns anew.

        Raises:
            EdgeirfError: the file cannot be read or does not fit.
        """
        kept = read_memory(path)
        if kept is None or (kept.bundle, kept.product) != (self._bundle, self._product):
            return False
        self._parts, self._scores.memory, self._frames.memory = kept.parts, kept.scores, kept.frames
        return True

    def accept(self) -> None:
        """The operator says that the present state is right: the next parts say what is usual."""
        self._scores.accept()
        self._frames.accept()
        self._reason = None

    def _verdict(self, part: PartVerdict) -> Verdict | None:
        if self._view is not None:
            return part.views.get(self._view)
        return next(iter(part.views.values()), None)

    def _why(self, now: float) -> str | None:
        if self._frames.frozen >= FROZEN:
            return f"the same picture {self._frames.frozen} times: check the camera and its driver"
        if changes := self._frames.changes:
            return self._named(changes, now)
        if self._scores.trend == "higher":
            return (
                "parts score higher than those of the calibration, and no known change of the picture explains it: "
                "check for another product, another material or dirt"
            )
        if self._scores.trend == "lower":
            return "parts score lower than before, so defects may pass: check focus, light and exposure"
        return None

    def _named(self, changes: tuple[Change, ...], now: float) -> str:
        """``the light ages or a lens gets dirty: light -6 % in 4 days``."""
        began = self._frames.since()
        sudden = began is not None and began[1]
        cause = _CAUSES[changes[0].kind][1 if sudden else 0]
        said = ", ".join(change.text for change in changes)
        if began is None:
            return f"{cause}: {said}"
        if sudden:
            return f"{cause}: {said} since {datetime.fromtimestamp(began[0]):%Y-%m-%d %H:%M}"
        return f"{cause}: {said} in {duration(now - began[0])}"


def duration(seconds: float) -> str:
    """``4 days``, ``3 hours``, ``20 minutes``: whole units, one of the largest at least."""
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = round(seconds / length)
            return f"{count} {name}{'s' * (count != 1)}"
    return "less than a minute"
