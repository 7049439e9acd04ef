"""Cameras and detectors of a line while it runs. A fault closes the engine; the line then opens a new one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Condition
from typing import Protocol

from edgeirf.errors import EdgeirfError
from edgeirf.part import PartId, PartVerdict
from edgeirf.runtime.inspection import Inspection
from edgeirf.runtime.line.capture_thread import CaptureThread, Station
from edgeirf.runtime.line.deadline import Parts, Ticket
from edgeirf.runtime.line.inspect_thread import InspectThread, Job, LineDetector
from edgeirf.runtime.line.views import Match, View, captured_at
from edgeirf.runtime.sources.frame import Frame


@dataclass(frozen=True)
class DetectorPlan:
    """How a detector is opened.

    Attributes:
        open: opens it, before its cameras: they write frames into its memory.
        warm_up: called with it and the sizes ``(height, width)`` of its cameras that are known.
        standby: opens the detector that takes over when the device is lost, with these sizes; gives None where none
            would be in time.
        inspects: called with a detector and its views when it begins to inspect them.
    """

    open: Callable[[], LineDetector]
    warm_up: Callable[[LineDetector, Sequence[tuple[int, int]]], None] = lambda detector, sizes: None
    standby: Callable[[Sequence[tuple[int, int]]], LineDetector | None] | None = None
    inspects: Callable[[LineDetector, Sequence[str]], None] = lambda detector, views: None


class Hub(Protocol):
    """What the engine asks of the line."""

    lock: Condition
    parts: Parts

    def open_part(self, part_id: PartId | None, at: float, view: str | None = None) -> Ticket | None:
        """Accepts a part."""
        ...

    def decide(self, verdict: PartVerdict | None) -> None:
        """Publishes a verdict, where there is one."""
        ...

    def seen(self, ticket: Ticket, view: str, frame: Frame) -> None:
        """A part has a frame of a view."""
        ...

    def inspected(self, job: Job, inspection: Inspection) -> None:
        """Counts and keeps an inspection."""
        ...

    def degraded(self, cause: str, detail: str | None) -> None:
        """Something needs a person; None: no longer."""
        ...

    def fault(self, reason: str) -> None:
        """The line cannot inspect."""
        ...


class Engine:
    """Takes frames to parts and parts to detectors.

    Args:
        hub: the line.
        stations: its cameras.
        plans: its detectors, by the word that stations use.
        free: each frame is a part.
        together: every camera is a view of the same part; only for free-running ones.
    """

    def __init__(
        self,
        hub: Hub,
        stations: Sequence[Station],
        plans: Mapping[str, DetectorPlan],
        free: bool,
        together: bool,
    ) -> None:
        self._hub, self._plans, self._free, self._together = hub, plans, free, together
        self._stations = {station.name: station for station in stations}
        self._views = {
            name: View(name, one.live, hub.parts.is_open, one.staleness_s) for name, one in self._stations.items()
        }
        self._leads = list(self._views.values())[: 1 if together else None]
        self._captures = {name: self._capture(station) for name, station in self._stations.items()}
        self._inspects: dict[str, InspectThread] = {}
        self._inspecting: Counter[str] = Counter()
        self._standby: dict[str, LineDetector] = {}
        self._detectors: list[LineDetector] = []
        self._stopped = False

    def open(self) -> None:
        """Opens detectors and cameras, and warms up.

        Raises:
            EdgeirfError: one of them cannot be opened.
        """
        opened: dict[str, LineDetector] = {}
        for key, plan in self._plans.items():
            opened[key] = plan.open()
            self._detectors.append(opened[key])
        for capture in self._captures.values():
            capture.open(opened[capture.station.detector].allocate)
        for key, plan in self._plans.items():
            users, detector = self._users(key), opened[key]
            sizes = [size for name in users if (size := self._captures[name].size) is not None]
            plan.warm_up(detector, sizes)
            plan.inspects(detector, users)
            standby = plan.standby(sizes) if plan.standby is not None else None
            if standby is not None:
                self._standby[key] = standby
                self._detectors.append(standby)
            self._inspects[key] = InspectThread(
                key, detector, self._wanted, self._done, partial(self._lost, key), self._broken
            )

    def start(self) -> None:
        """Starts all threads."""
        for thread in self._inspects.values():
            thread.start()
        for capture in self._captures.values():
            capture.start()

    def close(self) -> None:
        """Ends all threads and frees cameras and devices; what hangs is left behind."""
        with self._hub.lock:
            self._stopped = True
            self._hub.lock.notify_all()
        for capture in self._captures.values():
            capture.stop()
        for thread in self._inspects.values():
            thread.stop()
        for capture in self._captures.values():
            capture.close()
        ended = [thread.join(2.0) for thread in self._inspects.values()]
        if all(ended):
            for detector in self._detectors:
                with suppress(EdgeirfError):  # a device that is lost cannot be freed
                    detector.close()

    def want(self, ticket: Ticket, at: float) -> None:
        """A trigger announced a part: every camera gives a frame. The lock is held."""
        for capture in self._captures.values():
            capture.fire()
        for view in self._views.values():
            self._dispatch(view, view.want(ticket, at))
        self._hub.lock.notify_all()

    @property
    def losses(self) -> dict[str, int]:
        """How often each camera went away."""
        return {name: capture.losses for name, capture in self._captures.items()}

    @property
    def finished(self) -> bool:
        """No more frames come, and none waits. The lock is held."""
        over = [view.kept is None and self._captures[view.name].ended for view in self._leads]
        return all(over) and (self._free or len(self._hub.parts) == 0)

    @property
    def dropped(self) -> int:
        """Frames that no part took."""
        return sum(view.dropped + self._captures[view.name].dropped for view in self._views.values())

    @property
    def problem(self) -> EdgeirfError | None:
        """Why a file ended early."""
        return next((one.problem for one in self._captures.values() if one.problem is not None), None)

    @property
    def busy_s(self) -> float:
        """How long the slowest device has worked on what it has."""
        return max((thread.busy_s for thread in self._inspects.values()), default=0.0)

    def _capture(self, station: Station) -> CaptureThread:
        away = partial(self._hub.degraded, f"camera {station.name}")
        return CaptureThread(station, partial(self._arrived, station.name), away, self._broken)

    def _arrived(self, name: str, frame: Frame) -> None:
        view = self._views[name]
        with self._hub.lock:
            while not view.live and view.kept is not None and not self._stopped:
                self._hub.lock.wait(0.2)
            if self._stopped:
                return
            self._dispatch(view, view.frame(frame))
            self.feed()
            self._hub.lock.notify_all()

    def feed(self) -> None:
        """Free-running: a frame is a part when its detector has room. Until then a newer one may take its place.

        The lock is held.
        """
        for lead in list(self._leads) if self._free and not self._stopped else ():
            while lead.kept is not None and self._has_room(lead):
                at = captured_at(lead.kept) if lead.live else time.monotonic()
                if self._too_old(lead, at):
                    continue
                ticket = self._hub.open_part(None, at, None if self._together else lead.name)
                if ticket is None:
                    break
                self._leads.append(self._leads.pop(self._leads.index(lead)))  # the others come first next time
                for view in self._views.values() if self._together else (lead,):
                    self._dispatch(view, view.want(ticket, at))

    def _has_room(self, lead: View) -> bool:
        """Whether the detector has. Of a live camera no more frames wait there than its share: newer ones may come."""
        key = self._stations[lead.name].detector
        thread = self._inspects[key]
        if not lead.live:
            return thread.waiting <= thread.detector.depth
        share = max(1, thread.detector.depth // len(self._users(key)))
        return thread.waiting < thread.detector.depth and self._inspecting[lead.name] < share

    def _too_old(self, view: View, at: float) -> bool:
        """Drops a frame that is older than its staleness budget."""
        budget = self._stations[view.name].staleness_s
        if not view.live or budget == 0 or time.monotonic() - at <= budget:
            return False
        view.kept = None
        view.dropped += 1
        return True

    def _dispatch(self, view: View, matches: Sequence[Match]) -> None:
        parts = self._hub.parts
        for match in matches:
            if match.frame is None:
                detail = "the next part came before a frame of this one"
                self._hub.decide(parts.absent(match.ticket, view.name, "missing_view", detail))
                continue
            parts.captured(match.ticket, view.name)
            self._hub.seen(match.ticket, view.name, match.frame)
            key = self._stations[view.name].detector
            self._inspecting[view.name] += 1
            self._inspects[key].put(Job(match.ticket, view.name, match.frame, parts.deadline(match.ticket)))
        if view.stale is not None:
            parts.stale(view.stale, view.name)
            view.stale = None

    def _wanted(self, job: Job) -> bool:
        with self._hub.lock:
            wanted = self._hub.parts.is_open(job.ticket)
            self._inspecting[job.view] -= not wanted
            return wanted

    def _done(self, job: Job, inspection: Inspection) -> None:
        with self._hub.lock:
            self._inspecting[job.view] -= 1
            self._hub.decide(self._hub.parts.scored(job.ticket, job.view, inspection.verdict))
            self.feed()
            self._hub.lock.notify_all()
        self._hub.inspected(job, inspection)

    def _users(self, key: str) -> list[str]:
        return [name for name, station in self._stations.items() if station.detector == key]

    def _lost(self, key: str, error: EdgeirfError) -> LineDetector | None:
        standby = self._standby.pop(key, None)
        if standby is not None:
            self._hub.degraded("device", f"{error}: the CPU inspects")
            with suppress(EdgeirfError):  # an audit trail that cannot be written ends the line at its next verdict
                self._plans[key].inspects(standby, self._users(key))
        return standby

    def _broken(self, reason: str) -> None:
        if not self._stopped:
            self._hub.fault(reason)
