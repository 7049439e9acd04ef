"""The last part of the graph: the field's density at every scale, as a field whose half sum of squares is the map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeirf.calib.fitting.density import LEAST_ENERGY, TEXTURE, Scale, channels
from edgeirf.calib.fitting.gaussian import Gaussian
from edgeirf.calib.fitting.places import Places

TINY = 1e-20
"""Keeps a quotient of zeros zero."""
LARGEST = 1e4
"""Of a whitened value, 1 for good parts: FP16 gives infinity above 65504, of which no sum or quotient is a number."""


class Density(nn.Module):
    """The density in nats of every scale that adds, one channel each; see :mod:`edgeirf.calib.fitting.density`.

    Channel s of the output is the root of twice what scale s adds to the anomaly of a position, so the half sum of
    squares over channels, which is how the runtime makes an anomaly map of any field, is their sum, and the largest
    channel names the scale that says most. What a scale adds:

    - the smallest window its nats at the position, where no window has a Gaussian for each place;
    - a larger window its largest nats among the windows that cover the position, in proportion to the smallest
      window's nats there (1 at the largest of the neighbourhood): coarse scales weigh, the finest one locates;
    - the whole grid and its texture their nats, in proportion to the eighth power of the sum of the others (1 at its
      largest): they speak of the part, not of a place, and so are laid where the part is most unusual.

    A field that is not a number gives a map that is not a number.

    Args:
        scales: fitted; the first one has window 1.
    """

    def __init__(self, scales: Sequence[Scale]) -> None:
        super().__init__()
        base = scales[0].gaussian
        self.local = _Scale(scales[0], base)
        self.local_adds = len(channels(scales)) == len(scales)
        self.sides = [scale.window for scale in scales[1:] if scale.window > 1]
        self.windows = nn.ModuleList(
            _Scale(scale, base) if scale.places is None else _Placed(scale, scale.places)
            for scale in scales[1:]
            if scale.window > 1
        )
        self.whole = nn.ModuleList(_Scale(scale, base) for scale in scales[1:] if scale.window <= 0)

    def forward(self, field: Tensor) -> Tensor:
        """The field ``(N, C, h, w)``, whitened by the first scale's Gaussian, to ``(N, scales that add, h, w)``."""
        field = field.clamp(-LARGEST, LARGEST)
        local = self.local(field)
        parts = [local] if self.local_adds else []
        for side, scale in zip(self.sides, self.windows, strict=True):
            highest = functional.max_pool2d(local, 2 * side - 1, 1, side - 1)
            parts.append(_spread(scale(field), side) * (local / (highest + TINY)))
        located = torch.cat(parts, dim=1)
        shape = located.sum(1, keepdim=True)
        share = shape / (shape.amax((2, 3), keepdim=True) + TINY)
        for _ in range(3):
            share = share * share
        return torch.sqrt(2 * torch.cat([located, *(scale(field) * share for scale in self.whole)], dim=1))


class _Scale(nn.Module):
    """One scale: read, whitened, squared, in nats."""

    sensitivity: Tensor

    def __init__(self, scale: Scale, base: Gaussian) -> None:
        super().__init__()
        quiet = torch.ones(1) if scale.profile is None else torch.from_numpy(1 / scale.profile)[None, None]
        self.register_buffer("sensitivity", 0.5 * quiet.float())
        self.window, self.gain, self.power = scale.window, scale.gain, scale.power
        self.white: nn.Conv2d | None = None
        if scale.window != 1:
            own = scale.gaussian if scale.window == TEXTURE else scale.gaussian.after(base)
            channels = len(own.mean)
            self.white = nn.Conv2d(channels, channels, 1).requires_grad_(False)
            self.white.weight.copy_(torch.from_numpy(own.whitener)[:, :, None, None])
            self.white.bias.copy_(torch.from_numpy(-own.whitener @ own.mean))  # type: ignore[union-attr]

    def forward(self, field: Tensor) -> Tensor:
        """``(N, C, h, w)`` to nats ``(N, 1, h', w')``."""
        return _nats(self.sensitivity * torch.square(self._white(field)).sum(1, keepdim=True), self.gain, self.power)

    def _white(self, field: Tensor) -> Tensor:
        if self.white is None:
            return field
        if self.window == TEXTURE:
            read = torch.log(functional.adaptive_avg_pool2d(torch.square(field), 1) + LEAST_ENERGY)
        elif self.window > 1:
            read = functional.avg_pool2d(field, self.window, 1)
        else:
            read = functional.adaptive_avg_pool2d(field, 1)
        white: Tensor = self.white(read)
        return white


class _Placed(nn.Module):
    """One scale with a Gaussian for each place; see :mod:`edgeirf.calib.fitting.places`."""

    mean: Tensor
    directions: Tensor
    known: Tensor
    precision: Tensor

    def __init__(self, scale: Scale, places: Places) -> None:
        super().__init__()
        self.window, self.gain, self.power = scale.window, scale.gain, scale.power
        self.grid = places.grid
        self.register_buffer("mean", torch.from_numpy(places.mean)[:, None])
        self.register_buffer("directions", torch.from_numpy(places.directions).mT.contiguous())
        self.register_buffer("known", torch.from_numpy(places.known)[:, :, None])
        self.register_buffer("precision", torch.from_numpy(0.5 * places.precision)[:, None])

    def forward(self, field: Tensor) -> Tensor:
        """``(N, C, h, w)``, whitened, to nats ``(N, 1, h', w')``."""
        # Fixed numbers of channels and places: the exported graph computes no shape.
        read = functional.avg_pool2d(field, self.window, 1).reshape(-1, self.mean.shape[2], self.mean.shape[0])
        at_places = read.permute(2, 0, 1) - self.mean  # (P, N, C)
        along = torch.square(at_places @ self.directions) @ self.known  # (P, N, 1)
        nats = functional.relu(torch.square(at_places).sum(2, keepdim=True) - along).squeeze(2) * self.precision
        return _nats(nats.permute(1, 0).reshape(-1, 1, *self.grid), self.gain, self.power)


def _nats(distance: Tensor, gain: float, power: float) -> Tensor:
    return distance if power == gain == 1.0 else gain * torch.pow(distance, power)


def _spread(nats: Tensor, side: int) -> Tensor:
    """The largest of the windows that cover each position, ``(N, 1, h', w')`` to ``(N, 1, h, w)``."""
    rim = side - 1
    return functional.max_pool2d(functional.pad(nats, (rim,) * 4, value=-math.inf), side, 1)
