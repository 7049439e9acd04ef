"""The pictures of a line: light, focus, noise and position under sequential tests; the same picture again."""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import inspected_area
from edgeirf.runtime.monitor.directions import Change, Directions, Kind
from edgeirf.runtime.monitor.memory import FrameMemory, RankMemory
from edgeirf.runtime.monitor.sequential import RECENT, Stream
from edgeirf.runtime.monitor.statistics import (
    RESOLUTIONS,
    STATISTICS,
    Floats,
    FrameStatistics,
    mean_and_spread,
)

LEARNED: Final = 100
"""Passing parts that say what is usual on this line."""
FROZEN: Final = 3
"""So many equal pictures in a row are a frozen camera: the noise of a sensor never gives the same picture."""
SAMPLES: Final = 65_536
"""Values of a frame that are compared with those of the frame before."""
NAMED_EVERY: Final = 10
"""Frames between two attempts to name a change that stands."""
_LONGEST: Final = 256
"""Blocks of the history. When it is full, neighbours are put together."""


@dataclass
class Block:
    """Frames that followed each other: for how long a change has been going on.

    Attributes:
        at: seconds since 1970 of the first one.
        mean: of every statistic, as a deviation from the usual.
        count: of frames.
    """

    at: float
    mean: Floats
    count: int = 1


class FrameWatch:
    """Watches the frames of one camera.

    >>> golden = np.full((2, 1, 64, 64, 3), 120, np.uint8)
    >>> from edgeirf.runtime.monitor.directions import usual_directions
    >>> from edgeirf.settings import Preprocess
    >>> watch = FrameWatch(FrameStatistics(Preprocess(size=(64, 64)), golden), usual_directions(), length=1e6)
    >>> for second in range(4):
    ...     watch.add(golden[0, 0], passed=True, at=float(second))
    >>> watch.frozen
    4

    Args:
        measure: computes the statistics.
        directions: names a change.
        length: mean number of parts to a false alarm, at least, of all statistics together.
        seed: of the draws between ties.

    Attributes:
        zooms: by how much focus and noise are larger in the last frame than in the network's input.
    """

    def __init__(self, measure: FrameStatistics, directions: Directions, length: float, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._measure, self._directions = measure, directions
        self._streams = [Stream(r, ["up", "down"], length * len(STATISTICS), rng) for r in RESOLUTIONS]
        self._learned: list[Floats] = []
        self._usual: tuple[Floats, Floats] | None = None
        self._recent: deque[Floats] = deque(maxlen=RECENT)
        self._checksum, self.frozen = -1, 1
        self.zooms: dict[Kind, float] = {}
        self._history: list[Block] = []
        self._block = RECENT
        self._changes: tuple[Change, ...] = ()
        self._due = 0

    def add(self, frame: Pixels, passed: bool, at: float) -> None:
        """Takes the next frame.

        Args:
            frame: ``(H, W, 3)`` BGR or ``(H, W)`` gray, uint8 or uint16.
            passed: the part is good: only such parts say what is usual.
            at: seconds since 1970.

        Raises:
            FrameError: the frame does not cover the region of interest.
        """
        self._compare(frame)
        if self.frozen >= FROZEN:  # says nothing about the line
            return
        found = self._measure(frame)
        _, _, width, height = inspected_area(frame.shape, self._measure.settings)
        zoom = max(1.0, width / (self._measure.settings.size[1] * self._measure.settings.tiles[1]))
        # A mean of fewer pixels has more of their noise.
        self.zooms = {"focus": zoom, "noise": zoom / math.sqrt(self._measure.step(height))}
        for stream, value in zip(self._streams, found.tolist(), strict=True):
            stream.add(value)
        if self._usual is None:
            self._learn(found, passed)
        else:
            self._recent.append(found)
            self._note(found - self._usual[0], at)
            self._name()

    @property
    def learned(self) -> int:
        """Parts that have said what is usual, at most :data:`LEARNED`."""
        return LEARNED if self._usual is not None else len(self._learned)

    @property
    def alarms(self) -> tuple[str, ...]:
        """Statistics whose change is significant, large or small."""
        return tuple(name for name, stream in zip(STATISTICS, self._streams, strict=True) if stream.alarm is not None)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What the change is, where it is significant and not small; empty while the usual is being learned."""
        return self._changes

    def since(self) -> tuple[float, bool] | None:
        """When the present deviation began (seconds since 1970), and whether suddenly; None where nothing is known."""
        if len(self._history) < 2 or self._usual is None:
            return None
        scaled = np.stack([block.mean for block in self._history]) / np.maximum(self._usual[1], RESOLUTIONS)
        now = scaled[-1] / max(float(np.linalg.norm(scaled[-1])), 1e-9)
        along = scaled @ now  # of the deviation that there is now
        before = np.flatnonzero(along[:-1] < 0.25 * along[-1])
        start = int(before[-1]) if len(before) else 0
        between = along[start + 1 : -1]
        sudden = bool(np.all(between > 0.75 * along[-1])) and len(before) > 0
        return self._history[start + 1 if sudden else start].at, sudden

    @property
    def memory(self) -> FrameMemory:
        """What is kept over a restart: the values, not the tests, which begin anew."""
        return FrameMemory(
            tuple(RankMemory(stream.ranks.counts) for stream in self._streams),
            tuple(tuple(row.tolist()) for row in self._learned) if self._usual is None else (),
            tuple(tuple(row.tolist()) for row in self._usual or ()),
            tuple((block.at, block.count, tuple(block.mean.tolist())) for block in self._history),
            self._block,
        )

    @memory.setter
    def memory(self, kept: FrameMemory) -> None:
        for stream, own in zip(self._streams, kept.ranks, strict=True):
            stream.ranks.counts = own.counts
        self._learned = [np.array(row) for row in kept.learned]
        self._usual = (np.array(kept.usual[0]), np.array(kept.usual[1])) if kept.usual else None
        self._history = [Block(at, np.array(mean), count) for at, count, mean in kept.history]
        self._block = kept.block

    def accept(self) -> None:
        """Takes the present state as the usual one: the next passing parts say what is usual."""
        for stream in self._streams:
            stream.accept()
        self._learned, self._usual, self._history, self._block = [], None, [], RECENT
        self._recent.clear()
        self._changes, self._due = (), 0

    def _compare(self, frame: Pixels) -> None:
        """Counts equal pictures in a row."""
        rows = max(1, frame.size // SAMPLES)
        checksum = zlib.crc32(frame[:: min(rows, frame.shape[0])].tobytes())
        self.frozen = self.frozen + 1 if checksum == self._checksum else 1
        self._checksum = checksum

    def _learn(self, found: Floats, passed: bool) -> None:
        if passed:
            self._learned.append(found)
        if len(self._learned) == LEARNED:
            self._usual = mean_and_spread(self._learned)

    def _name(self) -> None:
        """Names the present change, now and then."""
        if not self.alarms or self._usual is None:
            self._changes, self._due = (), 0
            return
        self._due -= 1
        if self._due < 0:
            usual, spread = self._usual
            deviation = np.median(np.stack(self._recent), axis=0) - usual
            self._changes, self._due = self._directions.explain(deviation, spread, self.zooms), NAMED_EVERY

    def _note(self, deviation: Floats, at: float) -> None:
        """Adds to the history."""
        last = self._history[-1] if self._history else None
        if last is None or last.count >= self._block:
            self._history.append(Block(at, deviation))
        else:
            last.mean = last.mean + (deviation - last.mean) / (last.count + 1)
            last.count += 1
        if len(self._history) >= _LONGEST:
            self._history = [_joined(pair) for pair in zip(self._history[::2], self._history[1::2], strict=True)]
            self._block *= 2


def _joined(pair: Sequence[Block]) -> Block:
    first, second = pair
    count = first.count + second.count
    return Block(first.at, (first.mean * first.count + second.mean * second.count) / count, count)
