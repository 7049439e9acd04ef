"""Which edges of a switch or light barrier are parts, and which are bounce."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edge:
    """A change of an input line.

    >>> Edge(active=True, at=12.5).sequence is None
    True

    Attributes:
        active: from inactive to active.
        at: ``time.monotonic()`` by the kernel.
        sequence: the kernel's number of this change; a gap shows that changes were lost.
    """

    active: bool
    at: float
    sequence: int | None = None


class Debounce:
    """Accepts the first edge after the line was quiet, so that a part is announced without delay.

    Edges of both directions restart the quiet time: a contact also bounces when it opens.

    >>> debounce = Debounce(quiet=0.005)
    >>> edges = [Edge(True, 1.0), Edge(False, 1.001), Edge(True, 1.002), Edge(False, 1.1), Edge(True, 1.101)]
    >>> [debounce.accepts(edge) for edge in edges]
    [True, False, False, False, False]

    Args:
        quiet: seconds without an edge before the next one counts; 0 accepts each.
    """

    def __init__(self, quiet: float) -> None:
        self._quiet = quiet
        self._last = float("-inf")

    def accepts(self, edge: Edge) -> bool:
        """Whether an edge is a part."""
        quiet = edge.at - self._last
        self._last = max(edge.at, self._last)
        return edge.active and quiet >= self._quiet
