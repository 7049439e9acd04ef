"""What a sink is, and what it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.render.overlay import Image
from edgeirf.runtime.sources.frame import Frame
from edgeirf.verdict import Verdict

Need = Literal["frame", "map", "overlay"]


@dataclass(frozen=True, eq=False)
class Record:
    """One part, as plain data that may go to another thread or process.

    >>> Record(Verdict(reject=True, score=40.0, p_value=0.01, threshold=31.0)).map is None
    True

    Attributes:
        verdict: the decision.
        frame: the frame, where a sink needs it; without pixels when the source could not read it.
        map: the anomaly map at the frame's size, ``(H, W)`` float32, where a sink needs it; None when the frame was not
            scored.
        overlay: the frame under its heat map, ``(H, W, 3)`` uint8 BGR, where a sink needs it; None when the frame was
            not scored.
    """

    verdict: Verdict
    frame: Frame | None = None
    map: NDArray[np.float32] | None = None
    overlay: Image | None = None


class Sink(ABC):
    """Takes the verdicts of a run, in order. Slow work belongs on a thread of the sink.

    The rule of decoration: whatever is not the verdict or its record may fail in any way, and the inspection goes on.
    A decoration that fails is reported once and gets nothing more; a record that fails ends the run.

    >>> class Count(Sink):
    ...     rejects = 0
    ...
    ...     def write(self, record: Record) -> None:
    ...         self.rejects += record.verdict.reject
    >>> count = Count()
    >>> count.write(Record(Verdict(reject=True, score=40.0, p_value=0.01, threshold=31.0)))
    >>> count.rejects
    1

    Attributes:
        decoration: the sink shows and keeps nothing: a status line, a window.
        needs: what each record must hold besides the verdict. The pipeline makes it before :meth:`write`.
        remark: what a person must know now, one line; None: nothing.
    """

    remark: str | None = None

    decoration: ClassVar[bool] = False
    needs: ClassVar[AbstractSet[Need]] = frozenset()

    def wants(self, verdict: Verdict) -> bool:
        """Whether the sink takes this verdict: no picture is computed for a verdict that no sink wants."""
        return True

    @abstractmethod
    def write(self, record: Record) -> None:
        """Takes one verdict, with at least what :attr:`needs` says.

        Raises:
            EdgeirfError: the record cannot be kept, or an earlier one could not.
        """

    def close(self) -> None:
        """Finishes everything taken.

        Raises:
            EdgeirfError: something taken could not be kept.
        """
        return
