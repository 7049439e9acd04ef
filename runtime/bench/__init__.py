"""Measures how fast a bundle is on this machine, and computes bounds for other GPUs."""

from edgeirf.runtime.bench.measure import Measurement, Workload, measure
from edgeirf.runtime.bench.targets import Target, find_targets

__all__ = ["Measurement", "Target", "Workload", "find_targets", "measure"]
