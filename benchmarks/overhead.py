"""What the pipeline adds to the network: camera-to-verdict against the bare session run plus one area resize.

    python benchmarks/overhead.py BUNDLE.irf [--frames 200] [--size 900]

One rendered colour frame goes, turn by turn, through the whole pipeline (frame in memory to verdict) and through the
least that any program must do: ``cv2.resize`` with INTER_AREA and ``session.run``. Both alternate in one process, so
that whatever else the machine does hits both. With ``--jsonl`` the pipeline also writes its verdicts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from statistics import median
from time import perf_counter
from typing import Any

import cv2
import numpy as np

import edgeirf
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import normalise, prepare
from edgeirf.runtime.line.pipeline import run_pipeline
from edgeirf.runtime.line.stats import Stats
from edgeirf.runtime.sinks import Record, Sink
from edgeirf.runtime.sinks.jsonl import JsonLines
from edgeirf.runtime.sources import Frame
from edgeirf.runtime.synthetic.render import render
from edgeirf.verdict import Verdict


class Alternating:
    """A source that gives the same frame again and again, and before each one times the bare calls."""

    name, total, dropped = "benchmark", None, 0

    def __init__(self, detector: edgeirf.Detector, image: Pixels, frames: int, warm_up: int) -> None:
        self.image, self.frames, self.warm_up = image, frames, warm_up
        self.bare: list[float] = []
        self._settings = detector.bundle.manifest.preprocess
        self._session: Any = detector.executor.network.session  # type: ignore[attr-defined]
        self._feed = {self._session.get_inputs()[0].name: normalise(prepare(image, self._settings), self._settings)}

    def __iter__(self) -> Iterator[Frame]:
        height, width = self._settings.size
        for number in range(self.warm_up + self.frames):
            start = perf_counter()
            cv2.resize(self.image, (width, height), interpolation=cv2.INTER_AREA)
            self._session.run(None, self._feed)
            self.bare.append((perf_counter() - start) * 1e3)
            yield Frame(self.image, number, self.name)

    def stop(self) -> None:
        """Nothing to stop."""

    def close(self) -> None:
        """Nothing to close."""


class Times(Sink):
    """Keeps the latencies of every verdict."""

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []

    def write(self, record: Record) -> None:
        """Keeps one."""
        self.verdicts.append(record.verdict)


def measure(path: str, frames: int, size: int, threads: int | None, jsonl: str | None) -> dict[str, Any]:
    """Median milliseconds of both ways, of each stage, and their ratio."""
    image = cv2.resize(render(1, 0, size=size).image, (size, size))
    with edgeirf.load(path, device="cpu", threads=threads) as detector:
        source, times = Alternating(detector, image, frames, warm_up=10), Times()
        sinks: list[Sink] = [times, *([JsonLines(jsonl)] if jsonl else [])]
        problem = run_pipeline(source, detector, sinks, Stats())
    if problem is not None:
        raise SystemExit(str(problem))
    latencies = [verdict.latency_ms for verdict in times.verdicts[source.warm_up :]]
    stages = {stage: median(latency[stage] for latency in latencies) for stage in latencies[0]}
    bare = median(source.bare[source.warm_up :])
    return {
        "bundle": times.verdicts[0].model,
        "frames": frames,
        "frame": f"{size}x{size}x3",
        "bare_p50_ms": bare,
        "pipeline_p50_ms": stages["camera_to_verdict"],
        "ratio": stages["camera_to_verdict"] / bare,
        "stages_p50_ms": stages,
        "pipeline_p99_ms": float(np.percentile([latency["camera_to_verdict"] for latency in latencies], 99)),
        "bare_p99_ms": float(np.percentile(source.bare[source.warm_up :], 99)),
    }


def main() -> None:
    """Prints one line, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--size", type=int, default=900, help="pixels a side of the camera's frame")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--jsonl", help="let the pipeline write its verdicts there")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    figures = measure(options.bundle, options.frames, options.size, options.threads, options.jsonl)
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    stages = ", ".join(f"{stage} {ms:.2f}" for stage, ms in figures["stages_p50_ms"].items())
    print(f"{figures['bundle']}, {figures['frame']}, p50 of {figures['frames']} frames:")
    print(f"  session.run + area resize  {figures['bare_p50_ms']:8.2f} ms (p99 {figures['bare_p99_ms']:.2f})")
    print(f"  camera to verdict          {figures['pipeline_p50_ms']:8.2f} ms (p99 {figures['pipeline_p99_ms']:.2f})")
    print(f"  ratio                      {figures['ratio']:8.3f}   [{stages}]")


if __name__ == "__main__":
    main()
