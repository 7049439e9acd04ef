"""One inspected frame: the verdict, and its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import FrameError
from edgeirf.runtime.executors.base import AnomalyMap
from edgeirf.runtime.imaging.pixel_format import Pixels, check_frame, frame_size, to_bgr
from edgeirf.runtime.render.drawing import frame_map, place_heat
from edgeirf.runtime.render.overlay import Image, overlay, to_bgr8
from edgeirf.runtime.sources.frame import Frame
from edgeirf.settings import Preprocess
from edgeirf.verdict import Region, Status, Verdict


class Inspection:
    """What :class:`edgeirf.Detector` gives for a frame.

    >>> import edgeirf
    >>> with edgeirf.load("bottle.irf", device="cpu") as detector:
    ...     inspection = detector(np.full((64, 64, 3), 128, np.uint8), frame_id=7)
    ...     inspection.frame_id, inspection.regions, inspection.map().shape
    (7, (), (64, 64))

    The fields of the verdict are reachable here too: ``inspection.reject`` is ``inspection.verdict.reject``. The
    anomaly map may be on the device until it is asked for, so an inspection stays in its process: keep, compare, send
    or pickle ``inspection.verdict``, which is plain data.

    Attributes:
        verdict: the decision.
        frame: the frame as its source gave it; of a bare array only what is known about it, without the pixels.
    """

    def __init__(
        self,
        verdict: Verdict,
        frame: Frame,
        settings: Preprocess,
        size: tuple[int, int] = (0, 0),
        anomaly_map: AnomalyMap | None = None,
    ) -> None:
        self.verdict = verdict
        self.frame = frame
        self._settings, self._size, self._map = settings, size, anomaly_map

    def map(self) -> NDArray[np.float32]:
        """The anomaly map at the frame's size, ``(H, W)`` float32; zero outside the region of interest.

        The map is computed when it is asked for. On a GPU it expires when a later frame takes its place; the map of a
        frame with regions is kept as long as the inspection is.

        Raises:
            ValueError: the frame was not scored, so it has no map.
            UsageError: the map has expired.
            BackendError: the device failed.
        """
        return frame_map(self._scored().array(), self._size, self._settings)

    def network_map(self) -> NDArray[np.float32]:
        """The anomaly map as the network gives it: of the region of interest, at the resolution of all tiles together.

        Raises: see :meth:`map`.
        """
        return self._scored().array()

    def overlay(self, frame: Pixels) -> Image:
        """The frame under its heat map, regions outlined, ``(H, W, 3)`` uint8 BGR; for people.

        The scale is logarithmic and fixed by the pixel threshold, so that a colour means the same on every picture.
        On a GPU it is drawn there, if asked for before the next frame is inspected.

        Args:
            frame: the frame that was inspected.

        Raises:
            ValueError: the frame was not scored.
            FrameError: it is another frame.
            UsageError, BackendError: see :meth:`map`.
        """
        scored, pixel_format = self._scored(), self.frame.pixel_format
        if frame_size(frame, check_frame(frame, pixel_format)) != self._size:
            height, width = self._size
            raise FrameError(f"the overlay is for the frame that was inspected, of {width}x{height} pixels")
        picture, heat = to_bgr8(to_bgr(frame, pixel_format)), scored.heat()
        if heat is not None:
            return place_heat(picture, heat, self._settings, self.verdict.regions)
        return overlay(picture, self.map(), self.verdict.pixel_threshold or 0.0, self.verdict.regions)

    @property
    def reject(self) -> bool:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.reject

    @property
    def score(self) -> float | None:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.score

    @property
    def p_value(self) -> float | None:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.p_value

    @property
    def threshold(self) -> float:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.threshold

    @property
    def pixel_threshold(self) -> float | None:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.pixel_threshold

    @property
    def regions(self) -> tuple[Region, ...]:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.regions

    @property
    def status(self) -> Status:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.status

    @property
    def error(self) -> str | None:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.error

    @property
    def frame_id(self) -> int | str | None:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.frame_id

    @property
    def source(self) -> str | None:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.source

    @property
    def captured_at(self) -> float | None:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.captured_at

    @property
    def latency_ms(self) -> Mapping[str, float]:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.latency_ms

    @property
    def model(self) -> str:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.model

    @property
    def product(self) -> str:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.product

    @property
    def scale(self) -> str | None:
        """See :class:`edgeirf.Verdict`."""
        return self.verdict.scale

    def to_json(self) -> dict[str, Any]:
        """See :meth:`edgeirf.Verdict.to_json`."""
        return self.verdict.to_json()

    def __repr__(self) -> str:
        return f"Inspection({self.verdict!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Inspection stays in its process, for its map may be on a GPU: pickle its .verdict")

    def _scored(self) -> AnomalyMap:
        if self._map is None:
            raise ValueError(f"no anomaly map: {self.verdict.error or 'the frame was not scored'}")
        return self._map
