"""Parts with random faults: one verdict each, none late without a reject, every row in the audit, nothing lost.

    python benchmarks/faults.py --parts 10000 --seed 1 [--json FILE]

A fake camera, detector and outputs run in a real line: threads, queues, states and deadlines are those of
``edgeirf run``. Every fault of :data:`FAULTS` occurs at random. After a FAULT the benchmark acknowledges, as an
operator would. Keys of the JSON: ``parts`` (accepted), ``verdicts``, ``late_without_reject`` (passes that were decided
after the deadline, or handed to an output more than 20 ms after it), ``audit_rows``, ``chain_valid``, ``spooled_lost``,
``spooled_twice``; ``refused``: triggers while the line was not ready; ``outputs``: their counters; ``faults``: how
often each was planted; ``states``: how often each was entered. Exit code 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.line_fakes import BAD, GOOD, FakeAudit, FakeCamera, FakeDetector, FakeOutput
from edgeirf.errors import BackendError, OutputError, SourceError
from edgeirf.part import PartVerdict
from edgeirf.runtime.line.backoff import Backoff
from edgeirf.runtime.line.capture_thread import Station
from edgeirf.runtime.line.engine import DetectorPlan
from edgeirf.runtime.line.line import Line
from edgeirf.runtime.line.plan import LinePlan
from edgeirf.runtime.triggers.software import SoftwareTrigger

DEADLINE_S = 0.05
AWAY_S = 0.5
"""A camera whose loss keeps the line in FAULT comes back after so long."""
HANDED_LATE_S = 0.02
"""What the operating system may take between the look at the clock and the call of an output."""


class Signal(FakeOutput):
    """An output that acts, and notes passes that came too late."""

    def __init__(self, deadlines: dict[int, float]) -> None:
        super().__init__("signal")
        self._deadlines, self.late = deadlines, 0

    def act(self, verdict: PartVerdict) -> None:
        """Looks at the clock first."""
        over = time.monotonic() - self._deadlines[int(verdict.part_id)]
        self.late += not verdict.reject and over > HANDED_LATE_S
        super().act(verdict)


class Trial:
    """One line and its faults."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.cameras, self.detector = (FakeCamera(), FakeCamera()), FakeDetector()
        self.deadlines: dict[int, float] = {}
        self.signal, self.record = Signal(self.deadlines), FakeOutput("record", durable=True)
        self.audit, self.real_audit = open_audit(folder)
        self.spooled = spooled(self.record, folder)
        self.seen: list[PartVerdict] = []
        self.faults: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.refused = 0
        self.step_s = 0.0
        self.trigger = SoftwareTrigger()
        plan = LinePlan(
            [Station(f"view{number}", camera.open, live=True) for number, camera in enumerate(self.cameras)],
            {"": DetectorPlan(lambda: self.detector.opened())},
            outputs=[self.signal, self.spooled],
            trigger=self.trigger,
            deadline_s=DEADLINE_S,
            heartbeat_s=0.1,
            audit=self.audit,
        )
        self.line = Line(
            plan,
            self.seen.append,
            lambda state, reason: self.states.update([state]),
            wall=lambda: time.time() + self.step_s,
        )
        for output in self.line.outputs:  # parts come a hundred times as fast as on a line: so do attempts
            output._backoff = Backoff(0.01, 0.1)

    def run(self, parts: int) -> dict[str, Any]:
        """Runs the parts, and counts."""
        thread = threading.Thread(target=self.line.run)
        thread.start()
        for number in range(parts):
            self.one(number)
        wait(lambda: len(self.line.parts) == 0)
        self.record.dead = self.signal.dead = False
        wait(lambda: self.line.outputs[1].waiting == 0 and self.spooled.waiting == 0, 60)
        self.line.stop()
        thread.join(30)
        return self.result()

    def one(self, number: int) -> None:
        """One part, perhaps with a fault."""
        for camera in self.cameras:
            camera.away = False
        name = self.random.choice([*FAULTS, *["none"] * 3 * len(FAULTS)])
        self.faults[name] += 1
        FAULTS.get(name, lambda trial: None)(self)
        away_until = time.monotonic() + AWAY_S
        while not self.announce(number):
            self.refused += 1
            self.line.acknowledge("benchmark")
            self.cameras[0].away &= time.monotonic() < away_until  # a FAULT cannot be left without the camera
            time.sleep(0.002)
        if name not in SILENT:
            for camera in self.cameras:
                camera.push(self.random.choice([GOOD, GOOD, BAD]))
        if self.random.random() < 0.7:  # else the next part follows at once
            wait(lambda: len(self.seen) > 0 and self.seen[-1].part_id == number, 2 * DEADLINE_S)

    def announce(self, number: int) -> bool:
        """Triggers, and notes the deadline before anybody can decide the part."""
        at = time.monotonic()
        self.deadlines[number] = at + DEADLINE_S
        return self.trigger.fire(number, at)

    def result(self) -> dict[str, Any]:
        """What came of it."""
        verdicts = Counter(verdict.part_id for verdict in self.seen)
        late = sum(not verdict.reject and verdict.late_ms > 0 for verdict in self.seen)
        got = Counter(verdict.part_id for verdict in self.record.verdicts)
        rows, valid = audited(self.audit, self.real_audit)
        lasting = self.spooled is not self.record
        return {
            "parts": self.line.parts.accepted,
            "verdicts": len(self.seen),
            "decided_twice": sum(count > 1 for count in verdicts.values()),
            "late_without_reject": late + self.signal.late,
            "audit_rows": rows,
            "chain_valid": valid,
            "spooled_lost": len(verdicts.keys() - got.keys()) if lasting else None,
            "spooled_twice": sum(count > 1 for count in got.values()) if lasting else None,
            "refused": self.refused,
            "outputs": {thread.output.name: vars(thread.counters) for thread in self.line.outputs},
            "rejects": Counter(verdict.reason for verdict in self.seen if verdict.reject),
            "faults": dict(self.faults),
            "states": dict(self.states),
        }


def _away(trial: Trial) -> None:
    trial.cameras[0].away = trial.random.random() < 0.5
    trial.cameras[0].fault = SourceError("the camera is gone")


def _stale(trial: Trial) -> None:
    trial.cameras[0].push(GOOD, taken=time.perf_counter() - 1.0)


def _dead(trial: Trial) -> None:
    trial.signal.dead, trial.record.dead = trial.random.random() < 0.3, trial.random.random() < 0.3


def _full(trial: Trial) -> None:
    """More triggers than the line has room for: each is answered, accepted or not."""
    for _ in range(20):
        extra = 1_000_000 + len(trial.deadlines)
        trial.refused += not trial.announce(extra)


FAULTS: dict[str, Callable[[Trial], None]] = {
    "camera away": _away,
    "frame unreadable": lambda trial: trial.cameras[0].push(None, "is cut short"),
    "frozen picture": lambda trial: trial.cameras[1].push(GOOD),
    "black picture": lambda trial: trial.cameras[1].push(GOOD * 0),
    "stall": lambda trial: None,
    "stale frame": _stale,
    "detector slow": lambda trial: setattr(trial.detector, "delay_s", 1.5 * DEADLINE_S),
    "device lost": lambda trial: setattr(trial.detector, "fault", BackendError("the device is lost")),
    "exception in capture": lambda trial: setattr(trial.cameras[0], "fault", RuntimeError("planted")),
    "exception in inspect": lambda trial: setattr(trial.detector, "fault", RuntimeError("planted")),
    "exception in publish": lambda trial: trial.audit.plant(OSError("planted")),
    "exception in output": lambda trial: setattr(trial.signal, "fault", RuntimeError("planted")),
    "output fails": lambda trial: setattr(trial.signal, "fault", OutputError("planted")),
    "output slow": lambda trial: setattr(trial.signal, "slow_s", 0.1),
    "output dead or back": _dead,
    "queue full": _full,
    "clock stepped": lambda trial: setattr(trial, "step_s", trial.random.uniform(-1e6, 1e6)),
}
SILENT = ("stall", "stale frame")
"""After these no frame follows."""


class PlantedAudit:
    """An audit trail that fails once on command."""

    def __init__(self, audit: Any) -> None:
        self._audit = audit
        self._fault: Exception | None = None

    def plant(self, fault: Exception) -> None:
        """The next row is refused once."""
        self._fault = fault

    def write(self, verdict: PartVerdict) -> None:
        """Keeps a row, or fails."""
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault
        self._audit.write(verdict)

    def action(self, operator: str, text: str) -> None:
        """Keeps an action."""
        self._audit.action(operator, text)

    def close(self) -> None:
        """The benchmark reads it first."""


def open_audit(folder: Path) -> tuple[PlantedAudit, Any]:
    """The audit trail of the product where it is there, else one in memory."""
    try:
        from edgeirf.runtime.audit.store import Audit
    except ImportError:
        memory = FakeAudit()
        return PlantedAudit(memory), memory
    audit = Audit(folder / "audit.db", sync="normal")
    return PlantedAudit(audit), audit


def audited(planted: PlantedAudit, audit: Any) -> tuple[int, bool | None]:
    """Rows of parts, and whether the rows are linked; None where the audit trail is in memory."""
    if isinstance(audit, FakeAudit):
        return len(audit.rows), None
    import sqlite3

    valid = audit.verify().problem is None
    with sqlite3.connect(audit.path) as database:
        rows = database.execute("select count(*) from audit where kind = 'part'").fetchone()[0]
    audit.close()
    return int(rows), valid


def spooled(output: FakeOutput, folder: Path) -> Any:
    """The output with a spool on disk where the product has it."""
    try:
        from edgeirf.runtime.outputs.spooled import Spooled
    except ImportError:
        return output
    return Spooled(output, str(folder / "record.spool"))


def wait(true: Callable[[], bool], limit_s: float = 10.0) -> None:
    """Waits for other threads."""
    end = time.monotonic() + limit_s
    while not true() and time.monotonic() < end:
        time.sleep(0.0005)


def broken(result: dict[str, Any]) -> list[str]:
    """The promises that the result breaks."""
    promises = {
        "one verdict for every part": result["verdicts"] == result["parts"] and result["decided_twice"] == 0,
        "none late without a reject": result["late_without_reject"] == 0,
        "every part in the audit": result["audit_rows"] == result["parts"],
        "the rows of the audit are linked": result["chain_valid"] in (True, None),
        "nothing spooled is lost or sent twice": not result["spooled_lost"] and not result["spooled_twice"],
    }
    return [promise for promise, kept in promises.items() if not kept]


def main() -> int:
    """0 when every promise is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = Trial(options.seed, Path(folder)).run(options.parts)
    text = json.dumps(result, indent=2)
    if options.json is not None:
        options.json.write_text(text + "\n")
    print(text)
    for promise in broken(result):
        print(f"BROKEN: {promise}")
    return 1 if broken(result) else 0


if __name__ == "__main__":
    sys.exit(main())
