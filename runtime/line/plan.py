"""What a line consists of, opened from ``line.toml`` or put together by a program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgeirf.part import PartVerdict
from edgeirf.runtime.line.capture_thread import Station
from edgeirf.runtime.line.engine import DetectorPlan
from edgeirf.runtime.line.recording import Recording
from edgeirf.runtime.outputs.output import Output
from edgeirf.runtime.sources.frame import Frame
from edgeirf.runtime.triggers.trigger import Trigger


def nothing() -> None:
    """What a line without real time and watchdog does."""


class AuditTrail(Protocol):
    """Keeps every verdict; ``edgeirf.runtime.audit.store.Audit`` is one."""

    def write(self, verdict: PartVerdict) -> None:
        """Keeps one verdict."""
        ...

    def action(self, operator: str, text: str) -> None:
        """Keeps what an operator did."""
        ...

    def close(self) -> object:
        """Finishes."""
        ...


class Watch(Protocol):
    """Looks for drift; ``edgeirf.runtime.line.drift.DriftWatch`` is one."""

    def watch(self, part: PartVerdict, frames: Mapping[str, Frame]) -> str | None:
        """A reason for DEGRADED, None where there is none; ``frames`` by view."""
        ...

    def close(self) -> object:
        """Finishes."""
        ...


@dataclass(frozen=True)
class LinePlan:
    """What a line consists of.

    Attributes:
        stations: its cameras.
        detectors: by the word that stations use.
        outputs: each gets a thread.
        trigger: announces the parts; None: each frame is a part.
        together: every camera is a view of the same part.
        deadline_s: from the trigger to the verdict.
        room: parts that may be open at once.
        heartbeat_s: period of the heartbeat to outputs.
        peer_timeout_s: FAULT when the peer's heartbeat does not change for so long; 0: not watched.
        self_recovery: FAULT is left by trying again, not only by an acknowledgement.
        audit: keeps every verdict before the outputs have it.
        watch: looks for drift.
        recording: keeps pictures.
        prepare: called when cameras and detectors are open, before parts are accepted.
        alive: called several times a second while the line is alive, in FAULT too: for a watchdog.
    """

    stations: Sequence[Station]
    detectors: Mapping[str, DetectorPlan]
    outputs: Sequence[Output] = ()
    trigger: Trigger | None = None
    together: bool = True
    deadline_s: float | None = None
    room: int = 16
    heartbeat_s: float = 1.0
    peer_timeout_s: float = 0.0
    self_recovery: bool = False
    audit: AuditTrail | None = None
    watch: Watch | None = None
    recording: Recording | None = None
    prepare: Callable[[], None] = nothing
    alive: Callable[[], None] = nothing
