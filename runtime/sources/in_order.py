"""Files, read one frame at a time: every frame comes, in order."""

from __future__ import annotations

from collections.abc import Iterator

from edgeirf.errors import SourceError
from edgeirf.runtime.sources.frame import Frame, Read


class InOrder:
    """Gives ``read`` to a source that is iterated.

    >>> class Two(InOrder):
    ...     def __iter__(self):
    ...         yield Frame(None, 0, "a", error="damaged")
    >>> two = Two()
    >>> two.read().state, two.read().state
    ('frame', 'end')
    """

    _frames_left: Iterator[Frame] | None = None

    def __iter__(self) -> Iterator[Frame]:
        """See :class:`edgeirf.runtime.sources.Source`."""
        raise NotImplementedError

    def read(self, timeout: float = 0.0) -> Read:
        """See :class:`edgeirf.runtime.sources.Source`; a file takes as long as its decoding."""
        if self._frames_left is None:
            self._frames_left = iter(self)
        try:
            frame = next(self._frames_left, None)
        except SourceError as error:
            return Read("error", detail=str(error))
        return Read("end") if frame is None else Read("frame", frame)
