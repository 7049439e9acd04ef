"""The one result type: every back end fills it, every sink reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Status = Literal["ok", "error"]


@dataclass(frozen=True)
class Region:
    """One connected area of the anomaly map above the pixel threshold, in pixels of the frame.

    Attributes:
        x, y, width, height: bounding box; ``x, y`` is its top left corner.
        area: pixels of the frame that the area covers.
        peak: largest value of the anomaly map inside.
    """

    x: int
    y: int
    width: int
    height: int
    area: int
    peak: float


@dataclass(frozen=True)
class Verdict:
    """What edgeirf says of one frame.

    Attributes:
        reject: True when the part must go; also True when ``status`` is ``"error"``, for a part nobody
            has seen is not a good part.
        score: image score, larger is more anomalous (nats for IRF); None when the frame could not be scored.
        p_value: share of good parts that score at least this high, (1 + #{calibration >= score}) / (n + 1).
        threshold: the score above which a part is rejected.
        regions: where, largest peak first; empty for a clean part.
        status: ``"ok"``, or ``"error"`` when there is no score; ``error`` then says why.
        frame_id: the caller's number or name of the part.
        source: where the frame came from.
        captured_at: seconds since 1970 at capture, None when unknown.
        latency_ms: milliseconds by stage: ``preprocess``, ``network``, ``postprocess``, ``total`` (the sum of what the
            detector did), and from the pipeline ``camera_to_verdict``.
        model: name and short hash of the bundle, ``bottle@1a2b3c4d5e6f``.
        product: the product whose calibration decided.
    """

    reject: bool
    score: float | None
    p_value: float | None
    threshold: float
    regions: tuple[Region, ...] = ()
    status: Status = "ok"
    error: str | None = None
    frame_id: int | str | None = None
    source: str | None = None
    captured_at: float | None = None
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    model: str = ""
    product: str = ""
    make_map: Callable[[], NDArray[np.float32]] | None = field(default=None, repr=False, compare=False)
    make_overlay: Callable[[NDArray[Any]], NDArray[np.uint8]] | None = field(default=None, repr=False, compare=False)

    def map(self) -> NDArray[np.float32]:
        """The anomaly map at the frame's size, ``(H, W)`` float32; zero outside the region of interest.

        Made when asked for, so that a line that needs only the verdict does not pay for it.

        Raises:
            ValueError: the frame was not scored, so it has no map.
            UsageError: it was left on a GPU until others had taken its place. A map that shows regions is kept.
        """
        if self.make_map is None:
            raise ValueError(f"no anomaly map: {self.error or 'this verdict was made without one'}")
        return self.make_map()

    def overlay(self, frame: NDArray[Any]) -> NDArray[np.uint8]:
        """The frame under its heat map, regions outlined, ``(H, W, 3)`` uint8 BGR; for people.

        The scale is logarithmic and fixed by the pixel threshold, so that a colour means the same on every picture.
        On a GPU it is drawn there, if asked for before the next frame is inspected.

        Args:
            frame: the one that was inspected.

        Raises:
            ValueError: the frame was not scored.
            FrameError: it is another frame.
            UsageError: see :meth:`map`.
        """
        if self.make_overlay is None:
            raise ValueError(f"no heat map: {self.error or 'this verdict was made without one'}")
        return self.make_overlay(frame)

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain JSON values, without the map: one line of ``--jsonl``."""
        return {
            "frame_id": self.frame_id,
            "source": self.source,
            "captured_at": self.captured_at,
            "status": self.status,
            "reject": self.reject,
            "score": self.score,
            "p_value": self.p_value,
            "threshold": self.threshold,
            "regions": [vars(region) for region in self.regions],
            "latency_ms": {stage: round(ms, 3) for stage, ms in self.latency_ms.items()},
            "model": self.model,
            "product": self.product,
            **({"error": self.error} if self.error else {}),
        }
