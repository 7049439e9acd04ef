"""Where frames come from: ``open_source`` takes what ``--camera`` takes."""

from edgeirf.runtime.sources.frame import Frame, Source
from edgeirf.runtime.sources.opening import open_source

__all__ = ["Frame", "Source", "open_source"]
