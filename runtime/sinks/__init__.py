"""Sinks remember: where verdicts and pictures are kept or shown."""

from edgeirf.runtime.sinks.sink import Need, Record, Sink

__all__ = ["Need", "Record", "Sink"]
