"""Frame to scored map. The seam between the detector and whatever does the work, on the host or on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeirf.conformal import Limits, conformal_p_value
from edgeirf.errors import UsageError
from edgeirf.runtime import scoring
from edgeirf.runtime.executors.select import Backend
from edgeirf.runtime.imaging import preprocess
from edgeirf.runtime.imaging.pixel_format import Pixels, check_frame, to_bgr
from edgeirf.settings import PixelFormat, Preprocess, Scoring
from edgeirf.verdict import Region


@dataclass(frozen=True)
class Inspected:
    """What a chain says of one frame.

    Attributes:
        score: image score.
        peak: largest value of the map.
        reject: the score is above its threshold.
        p_value: share of good parts that score at least this high.
        regions: areas above the pixel threshold, in frame pixels.
        map: gives the ``(H, W)`` float32 map at network resolution; may fetch it from the device.
        heat: gives the inspected area as ``(h, w, 3)`` uint8 BGR under its heat map, made on the device; None where
            the host has to draw it.
        latency_ms: milliseconds by stage.
    """

    score: float
    peak: float
    reject: bool
    p_value: float
    regions: tuple[Region, ...]
    map: Callable[[], NDArray[np.float32]]
    latency_ms: Mapping[str, float]
    heat: Callable[[], NDArray[np.uint8] | None] = lambda: None


class Chain(Protocol):
    """Pre-processing, network and scoring of one bundle on one device.

    Attributes:
        name: of the back end.
        depth: how many frames may be in flight between :meth:`submit` and :meth:`result`.
    """

    name: str
    depth: int

    def prepare(self, size: tuple[int, int], pixel_format: PixelFormat) -> None:
        """Does once what the first frame of ``(height, width)`` pixels would have to wait for.

        Raises:
            FrameError: frames of this size cannot be inspected.
            BackendError: the library or device failed.
        """
        ...

    def inspect(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> Inspected:
        """Inspects one frame; see :mod:`edgeirf.runtime.imaging.pixel_format` for what it may be.

        Raises:
            FrameError: the frame is not one the model takes.
            UsageError: frames are in flight.
            BackendError: the library or device failed.
        """
        ...

    def submit(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> None:
        """Starts on a frame; its result is the next one that :meth:`result` gives.

        Raises:
            FrameError, BackendError: as :meth:`inspect`.
            UsageError: :attr:`depth` frames are in flight already.
        """
        ...

    def result(self) -> Inspected:
        """Waits for the frame that was submitted first.

        Raises:
            UsageError: no frame is in flight.
            BackendError: the library or device failed.
        """
        ...

    def close(self) -> None:
        """Frees the device."""
        ...


class HostChain:
    """The CPU chain: every step is the one definition of it."""

    depth = 1

    def __init__(self, backend: Backend, settings: Preprocess, rules: Scoring, limits: Limits | None = None) -> None:
        self.backend = backend
        self.settings = settings
        self.rules = rules
        self.limits = limits or Limits()
        self.name = backend.name
        self._done: Inspected | None = None

    def prepare(self, size: tuple[int, int], pixel_format: PixelFormat) -> None:
        """See :class:`Chain`: runs the network once."""
        preprocess.inspected_area(size, self.settings)
        height, width = self.settings.size
        rows, columns = self.settings.tiles
        self.backend.run(np.zeros((rows * columns, 3, height, width), np.float32))

    def inspect(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> Inspected:
        """See :class:`Chain`."""
        check_free(self._done is None)
        start = perf_counter()
        image = to_bgr(frame, check_frame(frame, pixel_format))
        area = preprocess.inspected_area(image.shape, self.settings)
        batch = preprocess.normalise(preprocess.prepare(image, self.settings), self.settings)
        prepared = perf_counter()
        field = self.backend.run(batch)
        inferred = perf_counter()
        scored = scoring.score_field(field, self.rules, self.settings.size, self.settings.tiles)
        limits = self.limits
        marked = scored.peak > limits.pixel_threshold
        regions = scoring.find_regions(scored.map, limits.pixel_threshold, area) if marked else ()
        reject, p_value = scored.score > limits.threshold, conformal_p_value(limits.scores, scored.score)
        stages = {
            "preprocess": (prepared - start) * 1e3,
            "network": (inferred - prepared) * 1e3,
            "postprocess": (perf_counter() - inferred) * 1e3,
        }
        return Inspected(scored.score, scored.peak, reject, p_value, regions, lambda: scored.map, stages)

    def submit(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> None:
        """See :class:`Chain`: the work is done here, at once."""
        self._done = self.inspect(frame, pixel_format)

    def result(self) -> Inspected:
        """See :class:`Chain`."""
        done, self._done = self._done, None
        if done is None:
            raise UsageError("no frame is in flight: submit() one first")
        return done

    def score_prepared(self, prepared: Pixels) -> scoring.Scored:
        """Scores pixels that :func:`preprocess.prepare` made, ``(T, height, width, 3)``: calibration, golden images."""
        field = self.backend.run(preprocess.normalise(prepared, self.settings))
        return scoring.score_field(field, self.rules, self.settings.size, self.settings.tiles)

    def close(self) -> None:
        """See :class:`Chain`."""
        self.backend.close()


def check_free(free: bool) -> None:
    """Passes a chain that can take a frame.

    Raises:
        UsageError: it has no room for one.
    """
    if not free:
        raise UsageError("frames are in flight: take a result() first")
