"""A stretch of rejects after parts that mostly passed: more often the camera, light or product than the parts."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from edgeirf.verdict import Verdict

BEFORE, PASSED = 50, 0.8
"""The parts before the stretch that are looked at, and the share of them that must have passed; 10 parts at least."""
STRETCH = 20
"""So many rejects in a row are a stretch. At a false-reject rate of 5 % good parts give one in 1e26."""
_FEWEST = 10


class Stretch:
    """Says once a stretch that every part is rejected, though the parts before it mostly passed."""

    def __init__(self) -> None:
        self._before: deque[bool] = deque(maxlen=BEFORE)
        self._count, self._since = 0, 0.0

    def add(self, verdict: Verdict, now: float) -> tuple[str, ...]:
        """Counts one verdict.

        Args:
            verdict: of the next part.
            now: seconds since the epoch, where the frame has no time of capture.

        Returns:
            the lines to say, none or one.
        """
        if not verdict.reject:
            self._before.extend([False] * min(self._count, BEFORE))
            self._before.append(True)
            self._count = 0
            return ()
        if self._count == 0:
            self._since = verdict.captured_at or now
        self._count += 1
        if self._count != STRETCH or len(self._before) < _FEWEST or sum(self._before) < PASSED * len(self._before):
            return ()
        return (
            f"every part since {datetime.fromtimestamp(self._since):%H:%M:%S} is rejected, and most parts before "
            "passed: check the camera, the light, the frame size and the product",
        )
