"""What a source gives: frames one after another, good or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal, Protocol

from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.settings import PixelFormat


@dataclass(frozen=True)
class Frame:
    """One frame, or the news that one could not be read.

    >>> import numpy as np
    >>> frame = Frame(np.zeros((480, 640, 3), np.uint8), frame_id=0, source="camera 0")
    >>> frame.image.shape, frame.error
    ((480, 640, 3), None)

    Attributes:
        image: ``(H, W, 3)`` BGR or ``(H, W)``, uint8 or uint16, or what ``pixel_format`` says; None when ``error`` is
            set, and in the inspection of a bare array.
        frame_id: counts from 0; of a live source also the frames that were dropped, so that a gap shows them.
        source: the camera, or the file that this frame is.
        captured_at: seconds since 1970 at capture; None for files, whose time is not known.
        error: why there is no image.
        pixel_format: see :mod:`edgeirf.runtime.imaging.pixel_format`; None for BGR or gray.
        clock: ``time.perf_counter()`` when the image was in memory: camera-to-verdict counts from here.
        captured_monotonic: ``time.monotonic()`` at capture, from the driver or camera where it says so, else the
            arrival; None for files.
        sequence: the device's own number; a gap shows lost frames. None where the device does not number.
        dropped: frames of this source that were lost or overtaken before this one, since the source was opened.
    """

    image: Pixels | None
    frame_id: int | str | None
    source: str | None
    captured_at: float | None = None
    error: str | None = None
    pixel_format: PixelFormat | None = None
    clock: float = field(default_factory=perf_counter)
    captured_monotonic: float | None = None
    sequence: int | None = None
    dropped: int = 0


@dataclass(frozen=True)
class Read:
    """What one read of a source gave.

    >>> Read("timeout").frame is None
    True

    Attributes:
        state: ``frame``: a frame came, perhaps with its error; ``timeout``: none came in time, ask again; ``end``:
            there are no more, as expected; ``error``: there are no more, because the source broke.
        frame: with ``frame`` only.
        detail: one line: why the source broke, or why frames are awaited (the camera is away).
    """

    state: Literal["frame", "timeout", "end", "error"]
    frame: Frame | None = None
    detail: str | None = None


class Source(Protocol):
    """Iterates frames. A frame that cannot be read has ``error`` set, and the next ones follow.

    >>> from edgeirf.runtime.sources.opening import open_source
    >>> source = open_source("test://?seed=1&count=2&size=64")
    >>> [frame.image.shape for frame in source]
    [(64, 64, 3), (64, 64, 3)]
    >>> source.close()

    Attributes:
        name: as the user wrote it.
        total: how many frames there will be, None when unknown.
        dropped: frames of a live source that were lost, or overtaken by newer ones.
        waiting: the next frame is in memory, so that asking for it costs nothing.
        size: ``(height, width)`` in pixels of the frames to come, None when unknown.
    """

    name: str
    total: int | None

    @property
    def size(self) -> tuple[int, int] | None:
        """See above."""
        ...

    @property
    def waiting(self) -> bool:
        """See above."""
        ...

    @property
    def dropped(self) -> int:
        """See above."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """The frames, until the end or :meth:`stop`.

        Raises:
            SourceError: the source broke; every frame that could be read has come before.
        """
        ...

    def read(self, timeout: float) -> Read:
        """The next frame, or what there is in its place: another way through the same frames.

        Args:
            timeout: seconds that a live source waits; a file needs as long as its decoding.
        """
        ...

    def stop(self) -> None:
        """Ends the iteration soon. Safe to call from another thread and from a signal handler."""
        ...

    def close(self) -> None:
        """Frees the camera or file."""
        ...
