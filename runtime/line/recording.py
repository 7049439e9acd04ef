"""Pictures and lines for sinks, off the way from camera to verdict."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import Full, Queue

from edgeirf.errors import EdgeirfError
from edgeirf.runtime.inspection import Inspection
from edgeirf.runtime.line.pipeline import make_record
from edgeirf.runtime.sinks import Record, Sink

QUEUE = 16
"""Records that may wait; a disk that is slower loses pictures, which are counted, and no verdict."""


class Recording:
    """Hands inspections to sinks on a thread of its own.

    Args:
        sinks: called in order; one that fails gets no more.

    Attributes:
        lost: records that did not get to the sinks.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = list(sinks)
        self.lost = 0
        self._problem: str | None = None
        self._queue: Queue[Record | None] = Queue(QUEUE)
        self._thread = threading.Thread(target=self._work, name="records", daemon=True)
        self._thread.start()

    def take(self, inspection: Inspection) -> str | None:
        """Takes what the sinks want; never waits. Returns what is wrong, None where nothing is."""
        needs = {need for sink in self._sinks if sink.wants(inspection.verdict) for need in sink.needs}
        if not any(sink.wants(inspection.verdict) for sink in self._sinks):
            return self._wrong
        try:
            self._queue.put_nowait(make_record(inspection, needs))
        except Full:
            self.lost += 1
            self._problem = f"the disk is too slow: {self.lost} pictures are lost"
        except Exception as error:  # the map has expired, no memory: the verdict stands
            self.lost += 1
            self._problem = f"{self.lost} pictures are lost: {error}"
        return self._wrong

    @property
    def _wrong(self) -> str | None:
        return self._problem or next((sink.remark for sink in self._sinks if sink.remark is not None), None)

    def close(self) -> None:
        """Writes what was taken, within 5 seconds."""
        self._queue.put(None)
        self._thread.join(5.0)

    def _work(self) -> None:
        while (record := self._queue.get()) is not None:
            for sink in [sink for sink in self._sinks if sink.wants(record.verdict)]:
                self._call(sink, partial(sink.write, record))
        for sink in list(self._sinks):
            self._call(sink, sink.close)

    def _call(self, sink: Sink, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            reason = str(error) if isinstance(error, EdgeirfError) else f"{type(error).__name__}: {error}"
            self._problem = f"{type(sink).__name__} keeps nothing more: {reason}"
            self._sinks.remove(sink)
