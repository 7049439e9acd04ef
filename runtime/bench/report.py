"""The figures of a measurement, as JSON and as lines for a terminal."""

from __future__ import annotations

import os
import platform
import textwrap
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
        yield f"{'total, ms':11} {'frames':>7} {'p50':>9} {'p95':>9} {'p99':>9} {'p99.9':>9} {'max':>9} {'late':>7}"
    for one in ran:
        yield from _totals(one)
    if ran:
        yield "p50 by stage, steady, ms:"
    for one in ran:
        stages = ", ".join(f"{s} {one.steady[s]['p50_ms']:.3f}" for s in STAGES if s in one.steady)
        yield from _wrapped(f"{_name(one)}: {stages}")
    for one in measured:
        if one.error is not None:
            yield f"{_name(one)}: did not run: {one.error}"
    if any(one.counts.get("steady", 1000) < 1000 for one in ran):
        yield "p99.9 of fewer than 1000 frames is the slowest one: --frames 1000 or more"


def _totals(one: Measurement) -> Iterator[str]:
    """The name with what belongs to the whole run, then a row for each way in which frames arrive."""
    memory = "" if one.memory_mb is None else f", {one.memory_mb:.0f} MB"
    energy = "" if one.joules_per_frame is None else f", {one.joules_per_frame:.3f} J a frame"
    yield f"{_name(one)}: {one.throughput:.1f} frames/s{memory}{energy}"
    for arrivals in ("steady", "triggered"):
        total = getattr(one, arrivals).get("total")
        if total is not None:
            numbers = " ".join(f"{total[name]:9.2f}" for name in PERCENTILES)
            yield f"  {arrivals:9} {one.counts[arrivals]:7} {numbers} {one.late[arrivals]:7}"


def _name(one: Measurement) -> str:
    return f"{one.target.backend} {one.target.model}"


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, 80, subsequent_indent="  ")


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
