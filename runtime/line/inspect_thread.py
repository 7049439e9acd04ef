"""One detector on a thread of its own: the cameras that use the same bundle share it.

Frames that wait at the same time go into the detector together, as many as it takes, while every deadline allows it.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import EdgeirfError
from edgeirf.runtime.inspection import Inspection
from edgeirf.runtime.line.deadline import Ticket
from edgeirf.runtime.line.pipeline import Inspector, take
from edgeirf.runtime.sources.frame import Frame


class LineDetector(Inspector, Protocol):
    """What a line asks of a detector."""

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Memory for a camera's frames; from any thread, also when the device is lost."""
        ...

    def close(self) -> None:
        """Frees the device."""
        ...


@dataclass(frozen=True)
class Job:
    """A frame to inspect.

    Attributes:
        ticket: its part.
        view: its camera.
        frame: with pixels, or with its error.
        deadline: of its part, of :func:`time.monotonic`.
    """

    ticket: Ticket
    view: str
    frame: Frame
    deadline: float = math.inf


class InspectThread:
    """Inspects jobs in order.

    Args:
        name: of the thread.
        detector: only this thread calls it.
        wanted: whether a job still has to be inspected; a part that is decided is not.
        done: called with each job and its inspection, on this thread.
        lost: called when the device failed: another detector to go on with, or None to end.
        broken: called with the reason when the thread ends by itself.
    """

    def __init__(
        self,
        name: str,
        detector: LineDetector,
        wanted: Callable[[Job], bool],
        done: Callable[[Job, Inspection], None],
        lost: Callable[[EdgeirfError], LineDetector | None],
        broken: Callable[[str], None],
    ) -> None:
        self.detector = detector
        self._wanted, self._done, self._lost, self._broken = wanted, done, lost, broken
        self._jobs: deque[Job] = deque()
        self._flight: deque[Job] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._busy_since: float | None = None
        self._frame_s = math.inf  # until it is measured
        self._thread = threading.Thread(target=self._run, name=f"inspect {name}".strip(), daemon=True)

    @property
    def waiting(self) -> int:
        """Jobs that are not inspected yet, those in the detector included."""
        return len(self._jobs) + len(self._flight)

    @property
    def busy_s(self) -> float:
        """Seconds since the device was given what it works on; 0 when it works on nothing."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def put(self, job: Job) -> None:
        """Takes a job; never waits. Open parts limit how many there are."""
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()

    def stop(self) -> None:
        """Ends after the frame that is being inspected."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def join(self, timeout_s: float) -> bool:
        """Waits for the end after :meth:`stop`; False: the device hangs."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopped:
                try:
                    self._step()
                except EdgeirfError as error:
                    self._give_up(error)
        except Exception as error:
            self._stopped = True
            self._broken(f"{self._thread.name}: {type(error).__name__}: {error}")

    def _step(self) -> None:
        job = self._next()
        if job is not None and self._wanted(job):
            self._flight.append(job)
            self._busy_since = self._busy_since or time.monotonic()
            take(self.detector, job.frame)
        while self._flight and not self._takes_another():
            inspection = self.detector.result()
            self._measure()
            self._done(self._flight.popleft(), inspection)

    def _measure(self) -> None:
        """The longest time of a frame so far; what was slow once is forgotten in a hundred frames."""
        now = time.monotonic()
        took = (now - (self._busy_since or now)) / len(self._flight)
        self._frame_s = took if math.isinf(self._frame_s) else max(took, 0.98 * self._frame_s)
        self._busy_since = now if len(self._flight) > 1 else None

    def _takes_another(self) -> bool:
        """Whether the next frame may join those in the detector: there is room, and none of them would be late."""
        if self.detector.in_flight >= self.detector.depth or not self._jobs:
            return False
        together = self._frame_s * (len(self._flight) + 1)
        return time.monotonic() + together <= min(job.deadline for job in self._flight)

    def _next(self) -> Job | None:
        with self._changed:
            while not self._jobs and not self._flight and not self._stopped:
                self._changed.wait()
            return self._jobs.popleft() if self._jobs else None

    def _give_up(self, error: EdgeirfError) -> None:
        """Rejects what is in the device, and goes on with the other detector where there is one."""
        for inspection in self.detector.give_up(str(error)):
            self._done(self._flight.popleft(), inspection)
        self._busy_since, self._frame_s = None, math.inf
        other = self._lost(error)
        if other is None:
            raise error
        self.detector = other
