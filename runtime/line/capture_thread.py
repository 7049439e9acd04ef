"""One camera on a thread of its own; it is opened again when it goes away and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from edgeirf.errors import EdgeirfError, SourceError
from edgeirf.runtime.line.backoff import Backoff
from edgeirf.runtime.line.firing import FireThread
from edgeirf.runtime.sources.camera import Triggerable
from edgeirf.runtime.sources.frame import Frame, Source
from edgeirf.runtime.sources.ring import Allocate

READ_S = 0.2
"""Time of one read; then the thread looks whether it is to end."""


@dataclass(frozen=True)
class Station:
    """A camera of the line, and the detector that inspects its frames.

    Attributes:
        name: of the view.
        open: opens the camera, with what gives the memory for its frames.
        detector: which detector; stations with the same word share one.
        live: the newest frame counts; False: every frame.
        staleness_s: see ``staleness_ms`` in ``line.toml``.
        reconnect_s: time to come back before the line goes to FAULT.
        fires: each part has the camera take a picture (``trigger=Software``).
    """

    name: str
    open: Callable[[Allocate | None], Source]
    detector: str = ""
    live: bool = False
    staleness_s: float = 0.0
    reconnect_s: float = 60.0
    fires: bool = False


class CaptureThread:
    """Reads a camera.

    Args:
        station: the camera.
        arrived: called with each frame, on this thread; may wait.
        away: called with the reason while the camera is away, and with None when it is back.
        broken: called with the reason when the camera stays away, or the thread ends by an error of the program.

    Attributes:
        ended: no more frames come.
        problem: why a file ended early.
        dropped: frames that the source dropped.
        losses: how often the camera went away.
    """

    def __init__(
        self,
        station: Station,
        arrived: Callable[[Frame], None],
        away: Callable[[str | None], None],
        broken: Callable[[str], None],
    ) -> None:
        self.station = station
        self._arrived, self._away, self._broken = arrived, away, broken
        self._source: Source | None = None
        self._allocate: Allocate | None = None
        self._before = 0
        self._said: str | None = None
        self._gone_at = 0.0
        self._firing: FireThread | None = None
        self.losses = 0
        self._stopped = threading.Event()
        self.ended = False
        self.problem: EdgeirfError | None = None
        self._thread = threading.Thread(target=self._run, name=f"camera {station.name}", daemon=True)

    @property
    def dropped(self) -> int:
        """See above; the times before a reconnection included."""
        source = self._source
        return self._before + (source.dropped if source is not None else 0)

    @property
    def size(self) -> tuple[int, int] | None:
        """``(height, width)`` of the frames to come, None when unknown."""
        return self._source.size if self._source is not None else None

    def open(self, allocate: Allocate | None = None) -> None:
        """Opens the camera for the first time.

        Args:
            allocate: gives the memory for its frames, now and whenever it is opened again.

        Raises:
            EdgeirfError: it cannot be opened.
        """
        self._allocate = allocate
        self._source = self.station.open(allocate)

    def start(self) -> None:
        """Starts the threads."""
        self._thread.start()
        if self.station.fires:
            self._firing = FireThread(self.station.name, self._fire, self._note, self._broken)

    def fire(self) -> None:
        """A part needs a picture; never waits."""
        if self._firing is not None:
            self._firing.put()

    def stop(self) -> None:
        """Ends soon."""
        self._stopped.set()
        if self._firing is not None:
            self._firing.stop()
        source = self._source
        if source is not None:
            source.stop()

    def close(self, timeout_s: float = 2.0) -> None:
        """Waits for the end after :meth:`stop`; a camera that hangs is left behind."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._release()

    def _run(self) -> None:
        try:
            self._read_all()
        except Exception as error:
            if not self._stopped.is_set():
                reason = str(error) if isinstance(error, EdgeirfError) else f"{type(error).__name__}: {error}"
                self._broken(f"{self._thread.name}: {reason}")
        self.ended = True

    def _read_all(self) -> None:
        backoff = Backoff()
        while not self._stopped.is_set():
            try:
                for frame in frames(self._opened(), self._note):
                    backoff.reset()
                    self._note(None)
                    self._arrived(frame)
                    if self._stopped.is_set():
                        return
                return
            except SourceError as error:
                if not self.station.live:
                    self.problem = error
                    return
                self._note(str(error))
                if time.monotonic() - self._gone_at >= self.station.reconnect_s:
                    raise
                self._release()
                self._stopped.wait(backoff.next())

    def _note(self, reason: str | None) -> None:
        """Says once that the camera is away, and once that it is back."""
        if reason == self._said:
            return
        if self._said is None:
            self._gone_at = time.monotonic()
            self.losses += 1
        self._said = reason
        self._away(reason)

    def _fire(self) -> None:
        source = self._source
        if isinstance(source, Triggerable):
            source.fire()

    def _opened(self) -> Source:
        if self._source is None:
            self._source = self.station.open(self._allocate)
            if self._stopped.is_set():
                self._source.stop()
        return self._source

    def _release(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            self._before += source.dropped
            with suppress(Exception):  # a camera that is gone may fail again
                source.close()


def frames(source: Source, waits: Callable[[str], None]) -> Iterator[Frame]:
    """The frames of a source. A source that opens its camera again by itself says meanwhile why it waits.

    Raises:
        SourceError: the source broke.
    """
    read = getattr(source, "read", None)
    if read is None:
        yield from source
        return
    while (got := read(READ_S)).state in ("frame", "timeout"):
        if got.frame is not None:
            yield got.frame
        elif got.detail:
            waits(got.detail)
    if got.state == "error":
        raise SourceError(got.detail or f"{source.name} gives no more frames")
