"""What the post-processing kernel sent down, as Python values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeirf.runtime.kernels.layout import MAP_WRITTEN, MAX_REGIONS, MORE_REGIONS, NOT_FINITE, REGION, REJECT, RESULT
from edgeirf.runtime.scoring import region_in_frame
from edgeirf.verdict import Region


@dataclass(frozen=True)
class Result:
    """The result of one frame.

    Attributes:
        score, peak, lowest: image score; largest and smallest map value.
        likelihood: half the mean square of the field, nats per value.
        reached_by: number of calibration scores at least as high.
        found: regions above the pixel threshold.
        sequence: launches since the workspace was zeroed.
        flags: REJECT | MORE_REGIONS | MAP_WRITTEN | NOT_FINITE.
        regions: as :func:`edgeirf.runtime.scoring.find_regions` gives them; at most MAX_REGIONS, and at most two
            where only the first RECORD_BYTES were read.
    """

    score: float
    peak: float
    lowest: float
    likelihood: float
    reached_by: int
    found: int
    sequence: int
    flags: int
    regions: tuple[Region, ...]

    @property
    def reject(self) -> bool:
        """The score is above its threshold, or is not a number."""
        return bool(self.flags & (REJECT | NOT_FINITE))

    @property
    def map_written(self) -> bool:
        """The map is in its buffer."""
        return bool(self.flags & MAP_WRITTEN)

    @property
    def more_regions(self) -> bool:
        """There were more regions than MAX_REGIONS; the ones with the highest peaks are reported."""
        return bool(self.flags & MORE_REGIONS)


def missing_regions(record: bytes) -> bool:
    """Whether regions beyond the two in the first RECORD_BYTES wait in the rest of RESULT."""
    return int(_padded(record)["found"]) > 2


def read_result(data: bytes, map_size: tuple[int, int], area: tuple[int, int, int, int]) -> Result:
    """Reads a record of RECORD_BYTES, or a whole RESULT.

    Args:
        data: what came down.
        map_size: ``(height, width)`` of the map.
        area: ``(x, y, width, height)`` in frame pixels that the map covers.
    """
    raw = _padded(data)
    at_hand = MAX_REGIONS - (RESULT.itemsize - len(data)) // REGION.itemsize
    count = min(int(raw["found"]), MAX_REGIONS, at_hand)
    return Result(
        score=float(raw["score"]),
        peak=float(raw["peak"]),
        lowest=float(raw["lowest"]),
        likelihood=float(raw["likelihood"]),
        reached_by=int(raw["reached_by"]),
        found=int(raw["found"]),
        sequence=int(raw["sequence"]),
        flags=int(raw["flags"]),
        regions=tuple(_to_frame(region, map_size, area) for region in raw["regions"][:count]),
    )


def _padded(data: bytes) -> np.void:
    record: np.void = np.frombuffer(data.ljust(RESULT.itemsize, b"\0"), RESULT, 1)[0]
    return record


def _to_frame(region: np.void, map_size: tuple[int, int], area: tuple[int, int, int, int]) -> Region:
    box = (int(region["x"]), int(region["y"]), int(region["width"]), int(region["height"]))
    return region_in_frame(box, int(region["area"]), float(region["peak"]), map_size, area)


__all__ = ["MAP_WRITTEN", "MORE_REGIONS", "NOT_FINITE", "REJECT", "Result", "missing_regions", "read_result"]
