"""What a report from the field must hold beside verdicts: sizes and times of engines, frames and maps."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from edgeirf.runtime.cuda.context import set_waiting
from edgeirf.runtime.executors.base import inspect
from edgeirf.runtime.executors.gpu.executor import GpuExecutor
from edgeirf.runtime.selftest.executor_checks import Subject
from edgeirf.runtime.selftest.outcome import Failed, Figures


def engine(subject: Subject, precision: str) -> Figures:
    """Layers, bytes and input of the engine of a precision, and the median of one run of it alone."""
    subject.need(precision)
    loaded = subject.load_graph(precision)
    try:
        milliseconds = loaded.network.milliseconds()
    finally:
        loaded.network.close()
    sizes = {"layers": loaded.layers, "megabytes": round(loaded.traffic / 1e6, 2)}
    return {"milliseconds": milliseconds, **sizes, "input": loaded.network.engine.input_layout}


def frame_memory(subject: Subject, frames: int = 200) -> Figures:
    """A frame that the host copies against one in memory lent to the camera: the same score, and both times."""
    gpu = subject.executor("fp32")
    try:
        frame = subject.frames[0]
        lent = gpu.allocate(frame.shape, frame.dtype)
        lent[...] = frame
        copied, in_place = _milliseconds(gpu, frame, frames), _milliseconds(gpu, lent, frames)
        scores = [inspect(gpu, one).score for one in (frame, lent)]
    finally:
        gpu.close()
    figures: Figures = {"copied_ms": copied, "lent_ms": in_place, "difference": abs(scores[0] - scores[1])}
    if scores[0] != scores[1]:
        raise Failed("a frame in lent memory scores differently", figures)
    return figures


def waiting(subject: Subject, frames: int = 200) -> Figures:
    """Time of a frame where the waiting thread spins, against the driver's own way: the same score."""
    figures: Figures = {}
    scores = []
    try:
        for name, spin in (("driver_ms", False), ("spin_ms", True)):
            set_waiting(spin)
            gpu = subject.executor("fp32")
            try:
                figures[name] = _milliseconds(gpu, subject.frames[0], frames)
                scores.append(inspect(gpu, subject.frames[0]).score)
            finally:
                gpu.close()
    finally:
        set_waiting(spin=False)
    if scores[0] != scores[1]:
        raise Failed("a frame that a spinning thread waits for scores differently", figures)
    return figures


def first_map(subject: Subject) -> Figures:
    """The first verdict after a warm-up and the first map: their times; the map must hold the verdict's peak."""
    gpu = subject.executor("fp32")
    try:
        frame = subject.frames[0]
        gpu.warm_up(frame.shape[:2], "bgr8")
        start = perf_counter()
        found = inspect(gpu, frame)
        decided = perf_counter()
        peak = float(found.map.array().max())
        mapped = perf_counter()
    finally:
        gpu.close()
    figures: Figures = {
        "verdict_ms": (decided - start) * 1e3,
        "map_ms": (mapped - decided) * 1e3,
        "difference_of_the_peak": abs(peak - found.peak),
    }
    if not abs(peak - found.peak) <= 1e-5 * max(abs(peak), 1.0):
        raise Failed("the map of a frame does not hold its verdict's peak", figures)
    return figures


def _milliseconds(gpu: GpuExecutor, frame: np.ndarray[Any, Any], frames: int) -> float:
    """Median from the frame to its result, after its graphs are there."""
    times = []
    for index in range(frames + 4):
        start = perf_counter()
        inspect(gpu, frame)
        if index >= 4:
            times.append((perf_counter() - start) * 1e3)
    return median(times)
