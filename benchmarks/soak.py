"""A line for a long time: memory flat, latency stable, no thread or descriptor left behind.

    python benchmarks/soak.py --minutes 30 [--bundle FILE.irf] [--rate 50] [--json FILE]

Rendered frames go through a real line and a real bundle (by default the small one of the tests), at a fixed rate, free
running, with an output, an audit trail where the product has one, and a deadline. Keys of the JSON: ``rss_start_mb``
(after the first tenth) and ``rss_end_mb``, ``p99_ms_first`` and ``p99_ms_last`` (camera to verdict, first and last
tenth), ``threads`` and ``descriptors`` (those that are left after the line has closed, beyond those before it),
``parts``, ``rejects``, ``dropped``, ``rate``.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

import edgeirf
from benchmarks.line_fakes import FakeOutput
from edgeirf.part import PartVerdict
from edgeirf.runtime.line.capture_thread import Station
from edgeirf.runtime.line.engine import DetectorPlan
from edgeirf.runtime.line.line import Line
from edgeirf.runtime.line.plan import LinePlan
from edgeirf.runtime.sources.frame import Frame
from edgeirf.runtime.sources.live import sleep_until
from edgeirf.runtime.synthetic.render import render

FRAMES = 32


class Belt:
    """A live camera with a fixed rate and frames that were rendered before."""

    name, total, dropped, waiting = "belt", None, 0, False

    def __init__(self, rate: float, side: int) -> None:
        self._frames = [render(1, index, None, "flange", side).image for index in range(FRAMES)]
        self._rate, self._stopped = rate, False
        self.size = (side, side)

    def __iter__(self) -> Iterator[Frame]:
        due, number = time.perf_counter(), 0
        while not self._stopped:
            due += 1 / self._rate
            sleep_until(due, lambda: self._stopped)
            yield Frame(self._frames[number % FRAMES], number, self.name, time.time())
            number += 1

    def stop(self) -> None:
        """Ends the iteration."""
        self._stopped = True

    def close(self) -> None:
        """Nothing is held."""


class Counter(FakeOutput):
    """Counts, and keeps nothing: the benchmark's own lists must not grow."""

    def expect(self, part: object) -> None:
        """Nothing."""

    def act(self, verdict: PartVerdict) -> None:
        """Nothing."""

    def beat(self, count: int) -> None:
        """Nothing."""


class Latencies:
    """Camera-to-verdict of the first and of the last tenth, and the memory after the first."""

    def __init__(self, seconds: float, rate: float) -> None:
        self._started, self._tenth = time.monotonic(), seconds / 10
        room = int(seconds / 10 * rate) + 100
        self.first, self.last = np.zeros(room), np.zeros(room)
        self.counts = [0, 0]
        self.parts = self.rejects = 0
        self.rss_start = 0.0

    def add(self, verdict: PartVerdict) -> None:
        """Counts a part."""
        self.parts += 1
        self.rejects += verdict.reject
        tenth = int((time.monotonic() - self._started) / self._tenth)
        if tenth >= 1 and not self.rss_start:
            self.rss_start = rss_mb()
        for place, (wanted, store) in enumerate(((0, self.first), (9, self.last))):
            for view in verdict.views.values():
                if tenth == wanted and self.counts[place] < len(store) and view.latency_ms:
                    store[self.counts[place]] = view.latency_ms["camera_to_verdict"]
                    self.counts[place] += 1

    def p99(self, place: int) -> float:
        """Of the first (0) or last (1) tenth, in ms."""
        values = (self.first, self.last)[place][: self.counts[place]]
        return round(float(np.percentile(values, 99)), 3) if len(values) else float("nan")


def rss_mb() -> float:
    """Memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 2)


def descriptors() -> int:
    """Open file descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def open_audit(folder: Path) -> Any:
    """The audit trail of the product; None where it has none."""
    try:
        from edgeirf.runtime.audit.store import Audit
    except ImportError:
        return None
    return Audit(folder / "audit.db", sync="normal")


def soak(minutes: float, bundle: Path, rate: float, folder: Path, side: int = 320) -> dict[str, Any]:
    """Runs the line, and measures."""
    edgeirf.load(bundle, device="cpu", threads=1).close()  # what a first load leaves behind is not the line's
    gc.collect()  # nor is what the program before it has not let go of
    before = threading.active_count(), descriptors()
    seconds, belt = 60 * minutes, Belt(rate, side)
    latencies = Latencies(seconds, rate)
    plan = LinePlan(
        [Station("top", lambda allocate: belt, live=True)],
        {"": DetectorPlan(lambda: edgeirf.load(bundle, device="cpu", threads=1))},
        outputs=[Counter()],
        deadline_s=1.0,
        audit=open_audit(folder),
    )
    line = Line(plan, latencies.add)
    timer = threading.Timer(seconds, line.stop)
    timer.start()
    line.run()
    timer.join()
    return {
        "rss_start_mb": latencies.rss_start,
        "rss_end_mb": rss_mb(),
        "p99_ms_first": latencies.p99(0),
        "p99_ms_last": latencies.p99(1),
        "threads": threading.active_count() - before[0],
        "descriptors": descriptors() - before[1],
        "parts": latencies.parts,
        "rejects": latencies.rejects,
        "dropped": line.dropped,
        "rate": round(latencies.parts / seconds, 2),
    }


def main() -> int:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.bundle is None:
            from tests.conftest import make_tiny_bundle

            options.bundle = make_tiny_bundle(folder / "tiny.irf")
        result = soak(options.minutes, options.bundle, options.rate, folder)
    text = json.dumps(result, indent=2)
    if options.json is not None:
        options.json.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
