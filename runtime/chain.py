"""Frame to scored map. The seam between the detector and whatever does the work, on the host or on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime import preprocess, scoring
from edgeirf.runtime.backends import Backend
from edgeirf.settings import Preprocess, Scoring
from edgeirf.verdict import Region


@dataclass(frozen=True)
class Inspected:
    """What a chain says of one frame.

    Attributes:
        score: image score.
        peak: largest value of the map.
        regions: areas above the pixel threshold, in frame pixels.
        map: gives the ``(H, W)`` float32 map at network resolution; may fetch it from the device.
        latency_ms: milliseconds by stage.
    """

    score: float
    peak: float
    regions: tuple[Region, ...]
    map: Callable[[], NDArray[np.float32]]
    latency_ms: Mapping[str, float]


class Chain(Protocol):
    """Pre-processing, network and scoring of one bundle on one device."""

    name: str

    def inspect(self, frame: preprocess.Pixels, pixel_threshold: float) -> Inspected:
        """Inspects one frame, ``(H, W, 3)`` BGR or ``(H, W)``, uint8 or uint16.

        Raises:
            FrameError: the frame is not one the model takes.
            BackendError: the library or device failed.
        """
        ...

    def close(self) -> None:
        """Frees the device."""
        ...


class HostChain:
    """The CPU chain: every step is the one definition of it."""

    def __init__(self, backend: Backend, settings: Preprocess, rules: Scoring) -> None:
        self.backend = backend
        self.settings = settings
        self.rules = rules
        self.name = backend.name

    def inspect(self, frame: preprocess.Pixels, pixel_threshold: float) -> Inspected:
        """See :class:`Chain`."""
        start = perf_counter()
        area = preprocess.inspected_area(frame.shape, self.settings)
        batch = preprocess.normalise(preprocess.prepare(frame, self.settings), self.settings)
        prepared = perf_counter()
        field = self.backend.run(batch)
        inferred = perf_counter()
        scored = scoring.score_field(field, self.rules, self.settings.size, self.settings.tiles)
        regions = scoring.find_regions(scored.map, pixel_threshold, area) if scored.peak > pixel_threshold else ()
        stages = {
            "preprocess": (prepared - start) * 1e3,
            "network": (inferred - prepared) * 1e3,
            "postprocess": (perf_counter() - inferred) * 1e3,
        }
        return Inspected(scored.score, scored.peak, regions, lambda: scored.map, stages)

    def score_prepared(self, prepared: preprocess.Pixels) -> scoring.Scored:
        """Scores pixels that :func:`preprocess.prepare` made, ``(T, height, width, 3)``: calibration, golden images."""
        field = self.backend.run(preprocess.normalise(prepared, self.settings))
        return scoring.score_field(field, self.rules, self.settings.size, self.settings.tiles)

    def close(self) -> None:
        """See :class:`Chain`."""
        self.backend.close()
