"""Keeps the GPU's clocks up between parts, so that the first part after a pause is not late."""

from __future__ import annotations

import threading
from collections.abc import Callable

INTERVAL_S = 0.05
"""Clock governors of Jetson and desktop GPUs look back some tens of milliseconds; not measured on one by us."""


class KeepWarm:
    """Calls ``tick`` from a thread of its own until closed.

    Args:
        tick: does one idle run, or nothing when the GPU is busy; returns False to end the thread.
        interval_s: seconds from one call to the next.
    """

    def __init__(self, tick: Callable[[], bool], interval_s: float = INTERVAL_S) -> None:
        self._tick, self._interval = tick, interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgeirf-keep-warm", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            if not self._tick():
                return

    def close(self) -> None:
        """Ends the thread, and waits for it unless it is the caller."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
