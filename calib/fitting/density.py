"""The density of the field of good parts, at every scale.

The field r is pooled over windows of w x w grid positions, from single positions to the whole grid. What is wrong over
a larger region, or in the part as a whole, is faint at every position and plain in the mean (Rippel et al., arXiv
2005.14140; PUAD, arXiv 2402.15143). For each window size w, good parts have one Gaussian:

    d_w(W) = |Sigma_w^-1/2 (mean of r over W - mu_w)|^2 / (2 profile_w(W))

Parts lie roughly the same way, and some places of them vary more than others: an edge, a printed date. profile_w(W) is
the mean distance of good parts at that place, relative to the mean of all places, smoothed and bounded.

Where the Gaussians are full and the grid is not too large, windows of 2 and 4 have a Gaussian for each place instead of
a common one with a profile (:mod:`edgeirf.calib.fitting.places`). The smallest window then says only where in a window
the part is unusual, and larger windows are left out: they find nothing more (benchmarks/RESULTS.md).

One more scale reads the texture of the whole part: a Gaussian of log(mean of v^2 over the grid), channel by channel,
where v is the field whitened by the Gaussian of the smallest window.

All scales are brought to one unit, the nats of the smallest window. Over held-out good parts, the logarithm of the
largest d_w of a part has mean m_w and standard deviation s_w; then

    nats_w = exp(m_1 + s_1 (log d_w - m_w) / s_w) = gain_w d_w^power_w,   power_w = s_1 / s_w

so that equally unusual values are equal, and the smallest window keeps its values. The score of a part is the sum of
all scales' nats where it is most unusual; :class:`edgeirf.export.methods.density.Density` lays them out as a map.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeirf.calib.fitting.gaussian import Fit, Gaussian, Moments, fit_gaussian
from edgeirf.calib.fitting.places import PlaceMoments, Places, few_enough

WHOLE = 0
"""Stands for the window that covers the whole grid."""
TEXTURE = -1
"""Stands for the energy of every channel over the whole grid."""
WINDOWS = (1, 2, 4, 8, WHOLE)
PLACED = (2, 4)
"""Windows that have a Gaussian for each place, where there is room for it."""
SHRINKAGE = {WHOLE: 0.2, TEXTURE: 0.2}
"""Least shrinkage of a covariance. The whole grid has one value a picture, and those of its variants are alike."""
USUAL_SHRINKAGE = 0.02
"""Of the other covariances."""
SMALLEST_PROFILE, LARGEST_PROFILE = 0.5, 4.0
"""Bounds: no place is so quiet that noise decides there, nor so busy that nothing is seen."""
LEAST_POWER, LARGEST_POWER = 0.25, 3.0
"""Bounds: the largest distance to the largest power is still a number in float32."""
LEAST_ENERGY = 1e-3
"""Of a channel whose usual energy is 1."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scale:
    """One scale of the density.

    Attributes:
        window: side in grid positions, :data:`WHOLE` or :data:`TEXTURE`.
        gaussian: of what is read of good parts at this scale.
        profile: ``(h', w')``: how much good parts vary at each place, relative to the mean; None is 1 everywhere.
        base: Gaussian of the smallest window, which whitens what is read; of :data:`TEXTURE` and ``places`` only.
        places: a Gaussian for each place; None: they share ``gaussian``, and profile.
        gain, power: nats = gain * d ** power.
    """

    window: int
    gaussian: Gaussian
    profile: Floats | None = None
    base: Gaussian | None = None
    places: Places | None = None
    gain: float = 1.0
    power: float = 1.0


def channels(scales: Sequence[Scale]) -> tuple[Scale, ...]:
    """The scales that add to the anomaly: all, but for a first one that only says where in a window."""
    return tuple(scales[1:] if any(scale.places is not None for scale in scales) else scales)


def scale_name(scale: Scale) -> str:
    """What a verdict calls a scale: ``position``, ``2x2``, ``whole``, ``texture``."""
    names = {1: "position", WHOLE: "whole", TEXTURE: "texture"}
    return names.get(scale.window, f"{scale.window}x{scale.window}")


def windows_for(grid: tuple[int, int], windows: Sequence[int] = WINDOWS) -> tuple[int, ...]:
    """Those of the window sizes that are smaller than a grid of ``(h, w)`` positions, and the whole grid."""
    return tuple(window for window in windows if window == WHOLE or window < min(grid))


def pool(field: NDArray[np.float32], window: int) -> Floats:
    """Means over all windows, ``(..., h, w)`` to ``(..., h - window + 1, w - window + 1)``."""
    if window == 1:
        return field.astype(np.float64)
    if window == WHOLE:
        means: Floats = field.mean((-2, -1), dtype=np.float64, keepdims=True)
        return means
    padded = np.zeros((*field.shape[:-2], field.shape[-2] + 1, field.shape[-1] + 1))
    padded[..., 1:, 1:] = field.astype(np.float64).cumsum(-2).cumsum(-1)
    k = window
    sums: Floats = padded[..., k:, k:] - padded[..., :-k, k:] - padded[..., k:, :-k] + padded[..., :-k, :-k]
    return sums / window**2


def texture(white: NDArray[np.float32]) -> Floats:
    """Logarithm of every channel's energy, of a whitened field ``(..., C, h, w)`` to ``(..., C, 1, 1)``."""
    energies: Floats = np.square(white, dtype=np.float64).mean((-2, -1), keepdims=True)
    return np.log(energies + LEAST_ENERGY)


def pooled_moments(field: NDArray[np.float32], windows: Sequence[int]) -> dict[int, Moments]:
    """Moments of a field ``(N, C, h, w)`` for each window size."""
    return {window: Moments.of(pool(field, window)) for window in windows}


def added(first: Mapping[int, Moments], second: Mapping[int, Moments]) -> dict[int, Moments]:
    """Moments of two sets of fields together."""
    return {window: first[window] + second[window] for window in first}


def placed_for(grid: tuple[int, int], fit: Fit) -> tuple[int, ...]:
    """Windows that have a Gaussian for each place of a grid of ``(h, w)`` positions."""
    if fit != "full":
        return ()
    return tuple(window for window in windows_for(grid, PLACED) if window != WHOLE and few_enough(grid, window))


def fit_scales(
    moments: Mapping[int, Moments],
    fields: Iterable[NDArray[np.float32]],
    fit: Fit,
    noise: Mapping[int, Moments] | None = None,
    placed: Sequence[int] = (),
) -> tuple[Scale, ...]:
    """Fits every scale; gain and power are still 1.

    Args:
        moments: of the pooled field of good parts and their variants, window size by window size.
        fields: the same fields, ``(N, C, h, w)`` each.
        fit: kind of Gaussian.
        noise: of what a reduced precision adds to the field; it is independent of the field, so its mean and
            covariance are added.
        placed: windows with a Gaussian for each place; those that share one are left out then, but for the smallest.
    """
    scales = [
        Scale(w, _fit(w, own, fit, None if noise is None else noise[w]))
        for w, own in moments.items()
        if not placed or w in (1, *placed)
    ]
    base = scales[0].gaussian
    totals: dict[int, Floats] = {}
    places: dict[int, PlaceMoments] = {}
    energies: Moments | None = None
    for field in fields:
        for scale in scales:
            if scale.window not in placed:
                totals[scale.window] = totals.get(scale.window, np.zeros(1)) + distances(field, scale).sum(0)
        white = base.whiten(field)
        for window in placed:
            read = pool(white, window)
            if window not in places:
                places[window] = PlaceMoments((read.shape[2], read.shape[3]), read.shape[1])
            places[window].add(read)
        own = Moments.of(texture(white))
        energies = own if energies is None else energies + own
    assert energies is not None  # noqa: S101

    def finished(scale: Scale) -> Scale:
        if scale.window not in placed:
            return replace(scale, profile=_profile(totals[scale.window]))
        added_noise = None if noise is None else noise[scale.window].mapped(base.whitener)
        return replace(scale, base=base, places=places[scale.window].fit(added_noise))

    return (*map(finished, scales), Scale(TEXTURE, _fit(TEXTURE, energies, fit, None), base=base))


def _fit(window: int, moments: Moments, fit: Fit, noise: Moments | None) -> Gaussian:
    if window == TEXTURE and fit == "standard":  # energies are not standard normal under any field
        fit = "full"
    return fit_gaussian(moments, fit, SHRINKAGE.get(window, USUAL_SHRINKAGE), noise)


def distances(field: NDArray[np.float32], scale: Scale) -> Floats:
    """d of every place, ``(N, C, h, w)`` to ``(N, h', w')``."""
    white = field if scale.base is None else scale.base.whiten(field)
    if scale.places is not None:
        return scale.places.distances(pool(white, scale.window))
    read = texture(white) if scale.window == TEXTURE else pool(white, scale.window)
    centred = np.moveaxis(read, -3, -1) - scale.gaussian.mean
    squares: Floats = np.square(centred @ scale.gaussian.whitener.T).sum(-1)
    return 0.5 * squares if scale.profile is None else 0.5 * squares / scale.profile


def _profile(total: Floats) -> Floats | None:
    """Smoothed over 3x3 places, in relation to the mean, bounded; None where there is one place."""
    if total.size == 1:
        return None
    padded = np.pad(total, 1, mode="edge")
    height, width = total.shape
    smooth: Floats = np.zeros_like(total)
    for i, j in np.ndindex(3, 3):
        smooth += padded[i : i + height, j : j + width]
    profile: Floats = np.clip(smooth / smooth.mean(), SMALLEST_PROFILE, LARGEST_PROFILE)
    return profile


def to_nats(scales: Sequence[Scale], largest: Sequence[Floats]) -> tuple[Scale, ...]:
    """Brings every scale to the nats of the first one.

    Args:
        scales: fitted, first the smallest window.
        largest: for each scale the largest d of each held-out part, ``(n,)``.
    """
    logs = [np.log(np.maximum(values, 1e-12)) for values in largest]
    means = [float(values.mean()) for values in logs]
    spreads = [max(float(values.std()), 1e-3) for values in logs]
    found = []
    for scale, mean, spread in zip(scales, means, spreads, strict=True):
        power = min(max(spreads[0] / spread, LEAST_POWER), LARGEST_POWER)
        found.append(replace(scale, gain=math.exp(means[0] - power * mean), power=power))
    return tuple(found)
