"""Drift of scores and frames."""

from edgeirf.runtime.monitor.monitor import DriftStatus, Monitor

__all__ = ["DriftStatus", "Monitor"]
