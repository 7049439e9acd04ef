"""Where verdicts go."""

from edgeirf.runtime.sinks.sink import Sink

__all__ = ["Sink"]
