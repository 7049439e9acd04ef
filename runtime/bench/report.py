"""The figures of a measurement, as JSON and as lines for a terminal."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgeirf import __version__
from edgeirf.bundle import Bundle
from edgeirf.runtime.bench.measure import Measurement, Workload
from edgeirf.runtime.bench.summary import PERCENTILES
from edgeirf.runtime.imaging.pixel_format import check_frame, frame_size
from edgeirf.verdict import STAGES as VERDICT_STAGES

STAGES = ("capture", *VERDICT_STAGES)
"""Columns, in the order of a frame's way: the camera's time, then the stages of the verdict. On a GPU the parts of
``inference`` are timed one by one, without the CUDA graph."""


def to_json(bundle: Bundle, work: Workload, measured: list[Measurement]) -> dict[str, Any]:
    """Plain JSON values.

    ``backends`` (steady arrivals) and ``triggered`` map device to precision to stage to p50_ms, p95_ms, p99_ms,
    p999_ms, max_ms; ``runs`` has what belongs to a run as a whole.
    """
    height, width = frame_size(work.frames[0], work.pixel_format)
    return {
        "edgeirf": __version__,
        "bundle": bundle.label,
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "frame": {"width": width, "height": height, "pixel_format": check_frame(work.frames[0], work.pixel_format)},
        "interval_ms": work.interval_s * 1e3,
        "deadline_ms": work.deadline_ms,
        "backends": _nested(measured, "steady"),
        "triggered": _nested(measured, "triggered"),
        "runs": [_run(one) for one in measured],
    }


def machine() -> dict[str, Any]:
    """Processor, cores that may be used, system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": cores,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def lines(work: Workload, measured: list[Measurement]) -> Iterator[str]:
    """The table of totals, then of stages, then what did not run."""
    ran = [one for one in measured if one.error is None]
    if ran:
        yield from _totals(ran)
        yield ""
        yield from _stages(ran)
    for one in measured:
        if one.error is not None:
            yield f"{one.target.backend} {one.target.model}: did not run: {one.error}"
    if any(one.counts.get("steady", 1000) < 1000 for one in ran):
        yield "p99.9 of fewer than 1000 frames is the slowest one: --frames 1000 or more for a figure of its own"


def _totals(ran: list[Measurement]) -> Iterator[str]:
    width = max(len(f"{one.target.backend} {one.target.model}") for one in ran)
    yield (
        f"{'':{width}}  {'arrivals':9} {'frames':>6} {'p50':>8} {'p95':>8} {'p99':>8} {'p99.9':>8} {'max':>8} ms"
        f" {'frames/s':>9} {'late':>5} {'MB':>6} {'J/frame':>8}"
    )
    for one in ran:
        for arrivals in ("steady", "triggered"):
            total = getattr(one, arrivals).get("total")
            if total is None:
                continue
            first = arrivals == "steady"
            numbers = " ".join(f"{total[name]:8.2f}" for name in PERCENTILES)
            rate = f"{one.throughput:9.1f}" if first else f"{'':9}"
            memory = f"{one.memory_mb:6.0f}" if first and one.memory_mb is not None else f"{'':6}"
            energy = f"{one.joules_per_frame:8.3f}" if first and one.joules_per_frame is not None else f"{'':8}"
            name = f"{one.target.backend} {one.target.model}" if first else ""
            yield (
                f"{name:{width}}  {arrivals:9} {one.counts[arrivals]:6} {numbers}   "
                f" {rate} {one.late[arrivals]:5} {memory} {energy}"
            ).rstrip()


def _stages(ran: list[Measurement]) -> Iterator[str]:
    used = [stage for stage in STAGES if any(stage in one.steady for one in ran)]
    width = max(len(f"{one.target.backend} {one.target.model}") for one in ran)
    yield f"{'p50 by stage, steady':{width}}  " + " ".join(f"{stage:>11}" for stage in used)
    for one in ran:
        cells = [f"{one.steady[stage]['p50_ms']:11.3f}" if stage in one.steady else f"{'':11}" for stage in used]
        yield f"{one.target.backend + ' ' + one.target.model:{width}}  {' '.join(cells)}".rstrip()


def _nested(measured: list[Measurement], arrivals: str) -> dict[str, dict[str, Any]]:
    nested: dict[str, dict[str, Any]] = {}
    for one in measured:
        stages = getattr(one, arrivals)
        if stages:
            rounded = {stage: {k: round(v, 4) for k, v in numbers.items()} for stage, numbers in stages.items()}
            of_backend = nested.setdefault(one.target.backend, {})
            of_backend[one.target.model if one.target.precision in of_backend else one.target.precision] = rounded
    return nested


def _run(one: Measurement) -> dict[str, Any]:
    return {
        "backend": one.target.backend,
        "model": one.target.model,
        "precision": one.target.precision,
        "frames": one.counts,
        "late": one.late,
        "frames_per_second": round(one.throughput, 2),
        "memory_mb": one.memory_mb,
        "gpu_memory_mb": one.gpu_memory_mb,
        "joules_per_frame": one.joules_per_frame,
        "power_source": one.power_source,
        "error": one.error,
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()
