"""What a sink is."""

from __future__ import annotations

from typing import Protocol

from edgeirf.runtime.sources.frame import Frame
from edgeirf.verdict import Verdict


class Sink(Protocol):
    """Takes every verdict of a run, in order. What takes long is done on a thread of the sink's own."""

    def write(self, frame: Frame, verdict: Verdict) -> None:
        """Takes one verdict and its frame.

        Raises:
            EdgeirfError: it cannot be kept; also for one that an earlier call took.
        """
        ...

    def close(self) -> None:
        """Finishes everything taken.

        Raises:
            EdgeirfError: something taken could not be kept.
        """
        ...
