"""A line on its own thread with a camera, a detector and outputs that fail on command: for the tests of the line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from benchmarks.line_fakes import FakeAudit, FakeCamera, FakeDetector, FakeOutput
from edgeirf.errors import EdgeirfError
from edgeirf.part import PartVerdict
from edgeirf.runtime.line.capture_thread import Station
from edgeirf.runtime.line.engine import DetectorPlan
from edgeirf.runtime.line.line import Line
from edgeirf.runtime.line.plan import LinePlan
from edgeirf.runtime.triggers.software import SoftwareTrigger

LIMIT = 20.0


def until(true: Callable[[], Any], what: str = "") -> None:
    """Waits for something that other threads do."""
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end, what or "it never happened"
        time.sleep(0.002)


class Rig:
    """A line on its own thread."""

    def __init__(self, live: bool = True, triggered: bool = True, views: int = 1, **options: Any) -> None:
        self.cameras = [FakeCamera() for _ in range(views)]
        self.camera, self.detector = self.cameras[0], FakeDetector()
        self.output, self.audit = FakeOutput(), FakeAudit()
        self.trigger: SoftwareTrigger = options.pop("trigger", None) or SoftwareTrigger()
        self.opened: list[FakeDetector] = []
        max_parts = options.pop("max_parts", None)
        stations = [
            Station(f"v{number}", camera.open, live=live, staleness_s=options.pop("staleness_s", 0.0), reconnect_s=60.0)
            for number, camera in enumerate(self.cameras)
        ]
        plan = LinePlan(
            stations,
            {"": DetectorPlan(self._detector, standby=options.pop("standby", None))},
            outputs=[self.output, *options.pop("outputs", ())],
            trigger=self.trigger if triggered else None,
            heartbeat_s=0.02,
            audit=self.audit,
        )
        self.plan = replace(plan, **options)
        self.seen: list[PartVerdict] = []
        self.states: list[str] = []
        self.line = Line(self.plan, self.seen.append, lambda state, reason: self.states.append(state), max_parts)
        self.problem: EdgeirfError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _detector(self) -> FakeDetector:
        self.opened.append(self.detector)
        return self.detector.opened()

    def _run(self) -> None:
        try:
            self.problem = self.line.run()
        except EdgeirfError as error:
            self.problem = error

    def part(self, part_id: int, *images: Any) -> PartVerdict:
        """Triggers a part, shows it, and waits for its verdict."""
        before = len(self.seen)
        assert self.trigger.fire(part_id), (self.line.state, self.line.reason)
        for camera, image in zip(self.cameras, images, strict=False):
            camera.push(image)
        until(lambda: len(self.seen) > before, f"no verdict for {part_id}")
        return self.seen[-1]

    def join(self) -> None:
        """Waits for the end of the line."""
        self._thread.join(LIMIT)
        assert not self._thread.is_alive()


@contextmanager
def running(**options: Any) -> Iterator[Rig]:
    """A line at work; it is stopped at the end."""
    rig = Rig(**options)
    rig._thread.start()
    until(lambda: rig.line.state in ("RUNNING", "DEGRADED") or not rig._thread.is_alive())
    if rig.plan.trigger is not None:
        until(lambda: rig.trigger.ready)
    try:
        yield rig
    finally:
        rig.line.stop()
        rig.join()


def outcomes(verdicts: list[PartVerdict]) -> list[tuple[Any, bool, str]]:
    """Id, reject and reason of each part."""
    return [(verdict.part_id, verdict.reject, verdict.reason) for verdict in verdicts]
