"""Where verdicts go."""

from edgeirf.runtime.sinks.sink import Need, Record, Sink

__all__ = ["Need", "Record", "Sink"]
