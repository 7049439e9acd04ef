"""The first graph of a bundle that starts in a place; a graph in whose start a process ended is passed over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError
from edgeirf.manifest import Model
from edgeirf.runtime.cache.notes import Step, noted

Loaded = TypeVar("Loaded")

log = logging.getLogger("edgeirf")


@dataclass(frozen=True)
class Start:
    """Where graphs of a bundle are started.

    Attributes:
        bundle: holds the graphs.
        place: device or library, ``the CPU``.
        smaller: another device follows, should none of the graphs start.
        version: of the library, where the place does not have it.
    """

    bundle: Bundle
    place: str
    smaller: bool
    version: str = ""

    @contextmanager
    def of(self, what: str, *, smaller: bool) -> Iterator[None]:
        """One start under its note; see :func:`edgeirf.runtime.cache.notes.noted`."""
        step = Step(f"starting {what} on {self.place}", (self.bundle.digest, self.version))
        with noted(step, smaller=smaller or self.smaller):
            yield

    def first(self, graphs: Sequence[tuple[str, Model]], load: Callable[[str, Model], Loaded]) -> Loaded:
        """What ``load`` gives for the first graph that starts; one line says which graphs do not.

        Args:
            graphs: key and model of each, in the order of preference.
            load: raises BackendError when a graph does not start.

        Raises:
            BackendError: none starts.
        """
        reason = ""
        for index, (key, model) in enumerate(graphs):
            left = len(graphs) - index - 1
            try:
                with self.of(key, smaller=left > 0):
                    return load(key, model)
            except BackendError as error:
                reason = f"{key} on {self.place}: {error}"
                if left:
                    log.warning("%s; falling back to %s", reason, graphs[index + 1][0])
        raise BackendError(reason)
