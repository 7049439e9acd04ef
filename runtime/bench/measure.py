"""Measures one device with one graph, as a line would use it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError
from edgeirf.runtime.bench.power import metered
from edgeirf.runtime.bench.summary import by_stage, summarise
from edgeirf.runtime.bench.targets import Target
from edgeirf.runtime.detector import Detector, load
from edgeirf.runtime.tensorrt.progress import Progress
from edgeirf.settings import PixelFormat

WARM_UP, STAGED = 10, 50
"""Frames before the measurement starts, and frames whose stages are timed one by one on a GPU."""


@dataclass(frozen=True)
class Workload:
    """What every target must do.

    Attributes:
        frames: inspected one after the other, repeatedly.
        steady: frames that follow each other at once.
        seconds: at most this long for them.
        triggered: frames that come one by one, with an idle gap before each.
        interval_s: seconds from one triggered frame to the next.
        deadline_ms: a verdict that takes longer is late.
        threads: of ONNX Runtime.
        capture_ms: how long frames took to come from the camera; empty when there is none.
        pixel_format: of the frames; None for BGR or gray.
    """

    frames: list[NDArray[Any]]
    steady: int = 500
    seconds: float = 20.0
    triggered: int = 50
    interval_s: float = 0.2
    deadline_ms: float = 100.0
    threads: int | None = None
    capture_ms: list[float] = field(default_factory=list)
    pixel_format: PixelFormat | None = None


@dataclass
class Measurement:
    """The figures of one target.

    Attributes:
        target: which.
        steady, triggered: stage to p50_ms, p95_ms, p99_ms, p999_ms, max_ms; empty when nothing was measured.
        counts: frames measured, by kind of arrival.
        late: verdicts after the deadline, by kind of arrival.
        throughput: frames a second in the steady run; overlapped where the executor can.
        memory_mb: growth of this process while it was loaded and running; None where the system does not report it.
        gpu_memory_mb: used on the GPU, by everybody.
        joules_per_frame: from the board's or the card's meter, by its own name; None without one.
        error: why it did not run.
    """

    target: Target
    steady: dict[str, dict[str, float]] = field(default_factory=dict)
    triggered: dict[str, dict[str, float]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)
    throughput: float = 0.0
    memory_mb: float | None = None
    gpu_memory_mb: float | None = None
    joules_per_frame: float | None = None
    power_source: str | None = None
    error: str | None = None


def measure(bundle: Bundle, target: Target, work: Workload, progress: Progress | None = None) -> Measurement:
    """Loads the bundle on the target and measures; a target that fails says why in ``error``."""
    done = Measurement(target)
    before = resident_mb()
    product = bundle.manifest.products[0]
    try:
        with load(
            bundle.path, target.device, precision=target.model, product=product, threads=work.threads, progress=progress
        ) as detector:
            detector.contract = None  # the latency of any size may be measured
            _measure(detector, work, done)
            after = resident_mb()
            done.memory_mb = after - before if before is not None and after is not None else None
    except BackendError as error:
        done.error = str(error)
    return done


def _measure(detector: Detector, work: Workload, done: Measurement) -> None:
    for frame in itertools.islice(itertools.cycle(work.frames), min(WARM_UP, work.steady)):
        detector(frame, pixel_format=work.pixel_format)
    start = perf_counter()
    with metered() as meter:
        steady = run_steady(detector, work)
        elapsed = perf_counter() - start
    done.power_source, done.joules_per_frame = meter.source, meter.joules_per_frame(elapsed, len(steady))
    triggered = run_triggered(detector, work)
    done.throughput = len(steady) / elapsed
    executor = detector.executor
    if "network" not in steady[0]:  # the device runs all stages as one: time them one by one
        stages = [executor.stages(work.frames[0], work.pixel_format) for _ in range(min(STAGED, work.steady))]
        steady = [{**extra, **frame} for extra, frame in zip(itertools.cycle(stages), steady, strict=False)]
    if executor.depth > 1:
        done.throughput = overlapped(detector, work)
    memory = executor.memory()
    if memory is not None:
        done.gpu_memory_mb = (memory.total - memory.free) / 1e6
    for name, frames in (("steady", steady), ("triggered", triggered)):
        done.counts[name] = len(frames)
        done.late[name] = sum(frame["total"] > work.deadline_ms for frame in frames)
    done.steady, done.triggered = by_stage(steady), by_stage(triggered)
    if work.capture_ms:
        done.steady = {"capture": summarise(work.capture_ms), **done.steady}


def run_steady(detector: Detector, work: Workload) -> list[dict[str, float]]:
    """Latencies by stage of frames that follow each other at once."""
    latencies = []
    end = perf_counter() + work.seconds
    for frame in itertools.islice(itertools.cycle(work.frames), work.steady):
        latencies.append(timed(detector, frame, work.pixel_format))
        if perf_counter() > end:
            break
    return latencies


def run_triggered(detector: Detector, work: Workload) -> list[dict[str, float]]:
    """Latencies by stage of frames that come with an idle gap before each, as from a light barrier."""
    latencies = []
    due = perf_counter()
    for frame in itertools.islice(itertools.cycle(work.frames), work.triggered):
        due = max(due + work.interval_s, perf_counter())
        time.sleep(max(0.0, due - perf_counter()))
        latencies.append(timed(detector, frame, work.pixel_format))
    return latencies


def timed(detector: Detector, frame: NDArray[Any], pixel_format: PixelFormat | None = None) -> dict[str, float]:
    """Inspects a frame; milliseconds by stage, ``total`` from the call to the verdict by the wall clock."""
    start = perf_counter()
    stages: Mapping[str, float] = detector(frame, pixel_format=pixel_format).latency_ms
    return {**stages, "total": (perf_counter() - start) * 1e3}


def overlapped(detector: Detector, work: Workload) -> float:
    """Frames a second with as many frames in flight as the detector takes."""
    frames = list(itertools.islice(itertools.cycle(work.frames), work.steady))
    start = perf_counter()
    for frame in frames:
        if detector.in_flight >= detector.depth:
            detector.result()
        detector.submit(frame, pixel_format=work.pixel_format)
    while detector.in_flight:
        detector.result()
    return len(frames) / (perf_counter() - start)


def resident_mb() -> float | None:
    """Memory of this process that is in use, in MB; None where there is no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    import resource

    return pages * resource.getpagesize() / 1e6
