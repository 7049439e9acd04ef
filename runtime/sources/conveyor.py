"""``test://``: a conveyor of rendered parts, some of them bad, the same ones each time for the same seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from edgeirf.errors import UsageError
from edgeirf.runtime.sources.address import shown
from edgeirf.runtime.sources.frame import Frame, Read
from edgeirf.runtime.sources.live import sleep_until
from edgeirf.runtime.synthetic.defects import DEFECTS
from edgeirf.runtime.synthetic.part import PARTS
from edgeirf.runtime.synthetic.render import RenderedPart, render


@dataclass(frozen=True)
class Conveyor:
    """What ``test://`` shows; the fields are the keys of its query.

    Attributes:
        seed: names the stream.
        count: number of parts; None for a belt without end.
        defects: share of bad parts.
        size: pixels a side.
        part: ``flange`` or ``bracket``.
        rate: parts a second; 0 for as fast as they are taken.
    """

    seed: int = 0
    count: int | None = None
    defects: float = 0.2
    size: int = 640
    part: str = "flange"
    rate: float = 0.0

    def __post_init__(self) -> None:
        if self.seed < 0 or (self.count is not None and self.count < 1):
            raise UsageError("test://: seed counts from 0, count from 1")
        if not 0 <= self.defects <= 1 or not 0 <= self.rate <= 1000 or not 64 <= self.size <= 4096:
            raise UsageError(
                "test://: defects is a share from 0 to 1, size 64 to 4096 pixels, rate up to 1000 a second"
            )
        if self.part not in PARTS:
            raise UsageError(f"test://: part is {' or '.join(PARTS)}, not {self.part!r}")

    def defect(self, index: int) -> str | None:
        """What is wrong with part ``index``: the truth that a verdict can be held against."""
        rng = np.random.default_rng([self.seed, index, 1])
        return str(rng.choice(DEFECTS)) if rng.random() < self.defects else None

    def part_at(self, index: int) -> RenderedPart:
        """Part number ``index``, with its mask."""
        return render(self.seed, index, self.defect(index), self.part, self.size)


class SyntheticSource:
    """Plays a conveyor; see :class:`edgeirf.runtime.sources.Source`."""

    dropped, waiting, size = 0, False, None

    def __init__(self, name: str, conveyor: Conveyor) -> None:
        self.name = name
        self.conveyor = conveyor
        self.total = conveyor.count
        self._stopped = False
        self._index, self._due = 0, perf_counter()

    def __iter__(self) -> Iterator[Frame]:
        """Parts in order, at the rate asked for or slower."""
        while (read := self.read(1.0)).state != "end":
            if read.frame is not None:
                yield read.frame

    def read(self, timeout: float) -> Read:
        """See :class:`edgeirf.runtime.sources.Source`; a part is late by the time that drawing it takes."""
        if self._stopped or self._index == self.total:
            return Read("end")
        if self.conveyor.rate:
            patience = perf_counter() + timeout
            sleep_until(min(self._due, patience), lambda: self._stopped)
            if self._stopped or perf_counter() < self._due:
                return Read("end" if self._stopped else "timeout")
            self._due = max(self._due, perf_counter() - 1 / self.conveyor.rate) + 1 / self.conveyor.rate
        image, index = self.conveyor.part_at(self._index).image, self._index
        self._index += 1
        return Read(
            "frame", Frame(image, index, self.name, time.time(), captured_monotonic=time.monotonic(), sequence=index)
        )

    def stop(self) -> None:
        """Ends before the next part."""
        self._stopped = True

    def close(self) -> None:
        """Nothing is held open."""


def open_synthetic(text: str) -> SyntheticSource:
    """``test://?seed=1&count=100&defects=0.2&size=640&part=flange&rate=5``; every key may be left out.

    Raises:
        UsageError: an unknown key, or a value that does not fit.
    """
    rest = text.partition(":")[2].removeprefix("//")
    address, _, query = rest.partition("?")
    if address.strip("/"):
        raise UsageError(f"{shown(text)} is not understood: test://?seed=1&count=100&defects=0.2 is")
    values: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in _KEYS:
            raise UsageError(f"test:// has no {key!r}; it knows {', '.join(_KEYS)}")
        try:
            values[key] = _KEYS[key](value)
        except ValueError:
            raise UsageError(f"test://: {key}={value} is not a number") from None
    return SyntheticSource(text, Conveyor(**values))


_TYPES: dict[str, Callable[[str], Any]] = {"defects": float, "rate": float, "part": str}
_KEYS = {field.name: _TYPES.get(field.name, int) for field in fields(Conveyor)}
