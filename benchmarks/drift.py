"""Detection delay and false alarms of the drift monitor on real good parts, with slow and sudden changes of each kind.

    python benchmarks/drift.py BUNDLE.irf DIR [--other DIR] [--seeds 2] [--long 2000] [--json FILE] [--markdown FILE]

A part of the line is a random good test picture with a small change of its own (a fifth of the default tolerances),
so that parts are exchangeable and no two are equal. After 150 such parts a change comes: suddenly at 1.25 times the
default tolerance, or slowly, from none to twice the tolerance within 400 parts. A change counts as found when the
monitor gives a reason, and as named when the reason names it. ``rejected`` counts good parts that were rejected between
the change and the reason. False alarms are counted over ``--long`` parts without a change.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

import edgeirf
from edgeirf.calib.conditions.perturb import Change, draw
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.calib.evaluation.samples import GOOD, find_samples
from edgeirf.part import PartVerdict
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.monitor import Monitor

BEFORE, SUDDEN, SLOW = 150, 150, 400
OWN: Final = Tolerances(0.016, 0.016, 0.16, 0.2, 0.003, 0.6, None)
"""What parts differ by without drift."""
KINDS: Final[dict[str, tuple[str, Callable[[float], Change]]]] = {
    "darker": ("light -", lambda share: Change(brightness=-0.08 * share)),
    "brighter": ("light +", lambda share: Change(brightness=0.08 * share)),
    "to the left": ("to the left", lambda share: Change(shift_x=-0.015 * share)),
    "down": ("down", lambda share: Change(shift_y=0.015 * share)),
    "turned": ("turned", lambda share: Change(rotate_deg=1.0 * share)),
    "softer": ("focus", lambda share: Change(blur_px=0.8 * share)),
    "noise": ("noise", lambda share: Change(noise_levels=3.0 * share)),
}


@dataclass
class Row:
    """One change on one line."""

    kind: str
    way: str
    seed: int
    found_after: int | None = None
    named_after: int | None = None
    share: float | None = None
    rejected: int = 0
    reason: str | None = None


class Line:
    """Parts of one line, and its monitor."""

    def __init__(self, detector: Detector, pictures: list[Pixels], seed: int, false_alarm_parts: float = 1e6) -> None:
        self.monitor = Monitor(detector, false_alarm_parts=false_alarm_parts)
        self._detector, self._pictures = detector, pictures
        self._rng = np.random.default_rng(seed)
        self._count = 0

    def next(self, change: Change | None = None, frame: Pixels | None = None) -> tuple[str | None, bool]:
        """One part an hour: the reason of the monitor, and whether the part was rejected."""
        if frame is None:
            frame = draw(OWN, self._rng)(self._pictures[int(self._rng.integers(len(self._pictures)))])
            frame = change(frame) if change is not None else frame
        verdict = self._detector(frame, captured_at=3600.0 * self._count).verdict
        self._count += 1
        part = PartVerdict(self._count, verdict.reject, "inspected", {"camera": verdict})
        return self.monitor.watch(part, frame), verdict.reject

    def branch(self) -> Line:
        """The same line so far, to go on another way."""
        twin = copy.copy(self)
        twin.monitor, twin._rng = copy.deepcopy(self.monitor), copy.deepcopy(self._rng)
        return twin


def change_line(line: Line, kind: str, way: str, seed: int) -> Row:
    """One kind of change until it is named."""
    word, change = KINDS[kind]
    row = Row(kind, way, seed)
    for at in range(SUDDEN if way == "sudden" else SLOW):
        share = 1.25 if way == "sudden" else 2.0 * (at + 1) / SLOW
        reason, reject = line.next(change(share))
        row.rejected += reject and row.found_after is None
        if reason is not None and row.found_after is None:
            row.found_after, row.share, row.reason = at + 1, share, reason
        if reason is not None and word in reason:
            row.named_after, row.share, row.reason = at + 1, share, reason
            break
    return row


def odd_line(line: Line, kind: str, frames: Iterator[Pixels], word: str, seed: int) -> Row:
    """Frames of another product, or the same picture again."""
    row = Row(kind, "sudden", seed)
    for at, frame in enumerate(frames):
        reason, reject = line.next(frame=frame)
        row.rejected += reject
        if reason is not None:
            row.found_after, row.reason = at + 1, reason
            row.named_after = at + 1 if word in reason else None
            break
    return row


def measure(detector: Detector, pictures: list[Pixels], other: list[Pixels], seeds: int) -> list[Row]:
    """Every change of every seed."""
    rows = []
    for seed in range(seeds):
        line = Line(detector, pictures, seed)
        for _ in range(BEFORE):
            line.next()
        for way in ("sudden", "slow"):
            rows += [change_line(line.branch(), kind, way, seed) for kind in KINDS]
        rows.append(odd_line(line.branch(), "frozen", iter(pictures[:1] * 20), "same picture", seed))
        if other:
            rng = np.random.default_rng(seed)
            frames = (draw(OWN, rng)(other[at % len(other)]) for at in range(SUDDEN))
            rows.append(odd_line(line.branch(), "other product", frames, "another product", seed))
        print(f"seed {seed} done", flush=True)
    return rows


def false_alarms(detector: Detector, pictures: list[Pixels], parts: int) -> tuple[int, list[str]]:
    """Alarms that begin on a line without a change."""
    line, begun, reasons, before = Line(detector, pictures, 99), 0, [], None
    for _ in range(parts):
        reason, _ = line.next()
        if reason is not None and before is None:
            begun += 1
            reasons.append(reason)
        before = reason
    return begun, reasons


def watch_ms(detector: Detector, pictures: list[Pixels]) -> float:
    """Median milliseconds of :meth:`Monitor.watch` for a frame."""
    line, times = Line(detector, pictures, 0), []
    verdict = detector(pictures[0]).verdict
    for at in range(100):
        started = time.perf_counter()
        line.monitor.watch(PartVerdict(at, False, "inspected", {"camera": verdict}), pictures[at % len(pictures)])
        times.append(time.perf_counter() - started)
    return float(np.median(times) * 1e3)


def markdown(rows: list[Row], seeds: int) -> str:
    """One row a change: medians over seeds."""
    lines = [
        "| change | way | found after parts | named after parts | at share of tolerance | good parts rejected before |"
    ]
    lines.append("|---|---|---|---|---|---|")
    for kind, way in dict.fromkeys((row.kind, row.way) for row in rows):
        own = [row for row in rows if (row.kind, row.way) == (kind, way)]
        found, named = (
            [value for row in own if (value := getattr(row, name)) is not None]
            for name in ("found_after", "named_after")
        )
        shares = [row.share for row in own if row.share is not None]
        cells = (
            f"{np.median(found):.0f} ({len(found)} of {seeds})" if found else f"not ({seeds})",
            f"{np.median(named):.0f} ({len(named)} of {seeds})" if named else "not",
            f"{np.median(shares):.2f}" if shares else "",
            f"{np.mean([row.rejected for row in own]):.1f}",
        )
        lines.append(f"| {kind} | {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def read(folder: Path, most: int | None = None) -> list[Pixels]:
    """Good test pictures."""
    return [read_image(sample.path) for sample in find_samples(folder) if sample.defect == GOOD][:most]


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--long", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    pictures = read(arguments.folder)
    other = read(arguments.other, 20) if arguments.other else []
    with edgeirf.load(arguments.bundle, device="cpu") as detector:
        rows = measure(detector, pictures, other, arguments.seeds)
        alarms, reasons = false_alarms(detector, pictures, arguments.long)
        cost = watch_ms(detector, pictures)
    height, width = pictures[0].shape[:2]
    summary = (
        f"{alarms} false alarms in {arguments.long} parts without a change; {len(pictures)} pictures; "
        f"{cost:.2f} ms a frame of {width}x{height}"
    )
    table = markdown(rows, arguments.seeds)
    print(table, summary, *reasons, sep="\n")
    if arguments.markdown:
        arguments.markdown.write_text(f"{table}\n\n{summary}\n")
    if arguments.json:
        found = {"rows": [asdict(row) for row in rows], "false_alarms": alarms, "parts": arguments.long, "ms": cost}
        arguments.json.write_text(json.dumps({**found, "reasons": reasons}, indent=1))


if __name__ == "__main__":
    main()
