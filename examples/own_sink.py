"""The pipeline of ``edgeirf run`` with a sink of your own: it adds the maps of rejected parts to show where.

Usage: python examples/own_sink.py bottle.irf 'test://?count=20&defects=0.3'
"""

from __future__ import annotations

import sys

import numpy as np

import edgeirf
from edgeirf.runtime.line.pipeline import run_pipeline
from edgeirf.runtime.line.stats import Stats
from edgeirf.runtime.sinks import Record, Sink
from edgeirf.runtime.sources.opening import open_source


class WhereDefectsAre(Sink):
    """The sum of the anomaly maps of rejected parts.

    Attributes:
        total: ``(H, W)`` float32; None before the first reject.
        rejects: how many maps are in it.
    """

    needs = frozenset({"map"})

    def __init__(self) -> None:
        self.total: np.ndarray | None = None
        self.rejects = 0

    def wants(self, verdict: edgeirf.Verdict) -> bool:
        """No map is computed for good parts."""
        return verdict.reject

    def write(self, record: Record) -> None:
        """Adds one map; a part that could not be inspected has none."""
        self.rejects += 1
        if record.map is not None:
            self.total = record.map if self.total is None else self.total + record.map


def inspect(bundle: str, camera: str) -> WhereDefectsAre:
    """Inspects all frames of ``camera``, which is what ``edgeirf run --camera`` takes."""
    sink = WhereDefectsAre()
    with edgeirf.load(bundle) as detector:
        problem = run_pipeline(open_source(camera), detector, [sink], Stats())
    if problem is not None:
        raise problem
    return sink


if __name__ == "__main__":
    try:
        found = inspect(sys.argv[1], sys.argv[2])
    except edgeirf.EdgeirfError as error:
        sys.exit(f"{error}")
    print(f"{found.rejects} rejected")
    if found.total is not None:
        y, x = np.unravel_index(int(found.total.argmax()), found.total.shape)
        print(f"most of it around x = {x}, y = {y}")
