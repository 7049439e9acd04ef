"""Pixel figures over any number of maps in constant memory: values are counted in fine bins, never kept."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.calib.evaluation.metrics import UNDEFINED, Ranking, ranking

_DROPPED_BITS = 9
RESOLUTION = 2.0 ** (_DROPPED_BITS - 23)
"""Relative width of a bin: map values closer than this may count as equal."""
AUPRO_LIMIT = 0.3
"""False-positive rate up to which AUPRO integrates."""


class PixelScores:
    """Values of anomaly maps at good and at defective pixels.

    The bin of a value is its float32 bit pattern without the last 9 bits of the mantissa, in ascending order: at most
    2^-14 of the value wide, so nothing need be known of the values beforehand. Only bins between the smallest and the
    largest value seen take memory: 0.4 MB an octave, 200 MB if it were all of float32. Values in one bin are a tie.
    """

    def __init__(self) -> None:
        self.regions = 0
        self._first = 0
        self._counts = np.zeros((3, 0))  # rows: good pixels, defective pixels, sum of 1 / area of the pixels' regions

    def add(self, scored_map: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> None:
        """Counts one map.

        Args:
            scored_map: ``(H, W)``.
            mask: ``(H, W)``, True where the part is defective; None for a good part.
        """
        bins = bins_of(scored_map)
        self._cover(int(bins.min()), int(bins.max()))
        size = self._counts.shape[1]
        if mask is None:
            self._counts[0] += np.bincount(bins.ravel() - self._first, minlength=size)
            return
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        self.regions += count - 1
        self._counts[0] += np.bincount(bins[~mask] - self._first, minlength=size)
        inside = bins[mask] - self._first
        self._counts[1] += np.bincount(inside, minlength=size)
        self._counts[2] += np.bincount(inside, 1.0 / stats[labels[mask], cv2.CC_STAT_AREA], minlength=size)

    def __add__(self, other: PixelScores) -> PixelScores:
        total = PixelScores()
        for part in (self, other):
            size = part._counts.shape[1]
            if size:
                total._cover(part._first, part._first + size - 1)
                start = part._first - total._first
                total._counts[:, start : start + size] += part._counts
            total.regions += part.regions
        return total

    def ranking(self) -> Ranking:
        """AUROC, AP and F1-max over all pixels."""
        good, defective = self._counts[:2]
        if not good.any() or not defective.any():
            return UNDEFINED
        bins = [np.flatnonzero(good), np.flatnonzero(defective)]
        labels = np.repeat([False, True], [len(bins[0]), len(bins[1])])
        scores = np.concatenate(bins).astype(np.float64)
        return ranking(labels, scores, np.concatenate([good[bins[0]], defective[bins[1]]]))

    def aupro(self, limit: float = AUPRO_LIMIT) -> float | None:
        """Area under the per-region overlap up to a false-positive rate of ``limit``, divided by ``limit``.

        Overlap: the share of a region (8-connected part of a mask) above the threshold, averaged over all regions of
        all images; false positives: the share of all good pixels, those of good parts included (Bergmann et al.,
        IJCV 2021, section 5.2). None without regions or without good pixels.
        """
        good = self._counts[0].sum() if self._counts.size else 0
        if not good or not self.regions:
            return None
        rates = np.append(0.0, np.cumsum(self._counts[0, ::-1]) / good)
        overlaps = np.append(0.0, np.cumsum(self._counts[2, ::-1]) / self.regions)
        inside = rates < limit
        # Of several overlaps at one rate the curve leaves that rate with the largest, which is the last.
        end = overlaps[inside][-1] + _slope(rates, overlaps, int(inside.sum())) * (limit - rates[inside][-1])
        x, y = np.append(rates[inside], limit), np.append(overlaps[inside], end)
        return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) / limit)

    def _cover(self, first: int, last: int) -> None:
        """Grows the counters so that bins ``first`` to ``last`` are among them."""
        size = self._counts.shape[1]
        if size and self._first <= first and last < self._first + size:
            return
        low = min(first, self._first) if size else first
        high = max(last, self._first + size - 1) if size else last
        grown = np.zeros((3, high - low + 1))
        grown[:, self._first - low : self._first - low + size] = self._counts if size else 0
        self._first, self._counts = low, grown


def bins_of(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """The bin of every value; a larger value never has a smaller bin."""
    bits = (np.asarray(values, np.float32) + np.float32(0)).view(np.uint32)  # + 0 makes -0 and 0 one value
    ascending: NDArray[Any] = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return (ascending >> _DROPPED_BITS).astype(np.int64)


def _slope(x: NDArray[np.float64], y: NDArray[np.float64], at: int) -> float:
    return float((y[at] - y[at - 1]) / (x[at] - x[at - 1]))
