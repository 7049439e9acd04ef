"""The one verdict type: every executor fills it, every sink reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "error"]

STAGES = (
    "upload",
    "preprocess",
    "network",
    "postprocess",
    "download",
    "inference",
    "total",
    "camera_to_verdict",
)
"""Names of the latency stages, the same on every device and in every report:

- ``upload``: copy of the frame's pixels to memory that the device reads; 0 on the CPU,
- ``preprocess``, ``network``, ``postprocess``, ``download``: parts of ``inference``, where the device times them one by
  one (a GPU does only in ``edgeirf bench``),
- ``inference``: from the pixels in that memory to the result,
- ``total``: ``upload`` and ``inference``,
- ``camera_to_verdict``: from the frame in memory to the verdict; only for frames of a source.
"""


@dataclass(frozen=True)
class Region:
    """One connected area of the anomaly map above the pixel threshold, in pixels of the frame.

    >>> region = Region(x=5, y=6, width=10, height=20, area=150, peak=42.0)
    >>> region.x + region.width, region.y + region.height
    (15, 26)

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
    """What edgeirf decides on one part: plain data, which can be compared, pickled and written as JSON.

    >>> verdict = Verdict(reject=False, score=12.5, p_value=0.42, threshold=31.0)
    >>> verdict.to_json()["reject"]
    False

    Attributes:
        reject: True: take the part off the line. Also True when ``status`` is ``"error"``: a part that was not
            inspected is not a good part.
        score: image score, larger is more anomalous (nats for IRF); None when the frame was not scored.
        p_value: share of good parts that score at least this high, (1 + #{calibration >= score}) / (n + 1).
        threshold: the part is rejected when its score is above this.
        pixel_threshold: values of the anomaly map above this form a region; None when the frame was not scored.
        regions: where, largest peak first; empty for a clean part.
        status: ``"ok"``, or ``"error"`` when there is no score; ``error`` then says why.
        frame_id: the caller's number or name of the part.
        source: where the frame came from.
        captured_at: seconds since 1970 at capture, None when unknown.
        latency_ms: milliseconds by stage, see :data:`STAGES`.
        model: name and short hash of the bundle, ``bottle@1a2b3c4d5e6f``.
        product: the product whose calibration decided.
        scale: what says most where the part is most unusual: ``position`` (one of the grid), ``2x2`` and more
            (positions together), ``whole`` (the part's mean), ``texture`` (the part's texture); None where
            the executor or the bundle does not know it.
    """

    reject: bool
    score: float | None
    p_value: float | None
    threshold: float
    pixel_threshold: float | None = None
    regions: tuple[Region, ...] = ()
    status: Status = "ok"
    error: str | None = None
    frame_id: int | str | None = None
    source: str | None = None
    captured_at: float | None = None
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    model: str = ""
    product: str = ""
    scale: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain JSON values: one line of ``--jsonl``."""
        return {
            "frame_id": self.frame_id,
            "source": self.source,
            "captured_at": self.captured_at,
            "status": self.status,
            "reject": self.reject,
            "score": self.score,
            "p_value": self.p_value,
            "threshold": self.threshold,
            "pixel_threshold": self.pixel_threshold,
            "regions": [vars(region) for region in self.regions],
            "latency_ms": {stage: round(ms, 3) for stage, ms in self.latency_ms.items()},
            "model": self.model,
            "product": self.product,
            "scale": self.scale,
            **({"error": self.error} if self.error else {}),
        }
