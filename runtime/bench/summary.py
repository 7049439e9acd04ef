"""Latencies as percentiles. No mean: the slow frames stop a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

PERCENTILES = {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0, "p999_ms": 99.9, "max_ms": 100.0}


def summarise(milliseconds: Iterable[float]) -> dict[str, float]:
    """Percentiles of at least one value, each one a value that was measured: never a mean of two.

    Of fewer than 1000 values the 99.9th percentile is the largest one.
    """
    values = np.fromiter(milliseconds, float)
    return {name: float(np.percentile(values, q, method="higher")) for name, q in PERCENTILES.items()}


def by_stage(frames: Iterable[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Summaries of each stage that any frame has, in the order of the first appearance."""
    samples: dict[str, list[float]] = {}
    for frame in frames:
        for stage, milliseconds in frame.items():
            samples.setdefault(stage, []).append(milliseconds)
    return {stage: summarise(values) for stage, values in samples.items()}
