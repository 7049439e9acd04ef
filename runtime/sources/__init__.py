"""Where frames come from: ``open_source`` takes what ``--camera`` takes."""

from edgeirf.runtime.sources.frame import Frame, Read, Source
from edgeirf.runtime.sources.opening import open_source
from edgeirf.runtime.sources.reconnect import Reconnect, SourceEvent

__all__ = ["Frame", "Read", "Reconnect", "Source", "SourceEvent", "open_source"]
