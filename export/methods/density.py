"""The last part of the graph: the field's density at every scale, as a field whose half sum of squares is the map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeirf.calib.fitting.density import WHOLE, Scale
from edgeirf.calib.fitting.gaussian import Gaussian


class Density(nn.Module):
    """Every scale's density in nats, one channel each; see :mod:`edgeirf.calib.fitting.density`.

    Channel s of the output is the root of twice the nats of scale s. So the half sum of squares over channels, which is
    how the runtime makes an anomaly map of any field, is the sum over scales, and the largest channel names the scale
    that says most. A field that is not a number gives a map that is not a number.

    Args:
        scales: fitted; the first one has window 1.
        grid: ``(h, w)`` of the field.
    """

    def __init__(self, scales: Sequence[Scale], grid: tuple[int, int]) -> None:
        super().__init__()
        base = scales[0].gaussian
        self.scales = nn.ModuleList(_Scale(scale, base, grid) for scale in scales)

    def forward(self, field: Tensor) -> Tensor:
        """The field ``(N, C, h, w)``, whitened by the first scale's Gaussian, to ``(N, scales, h, w)``."""
        return torch.sqrt(2 * torch.cat([scale(field) for scale in self.scales], dim=1))


class _Scale(nn.Module):
    """One scale: pooled, whitened, squared, in nats, spread over the positions of each window."""

    grid: Tensor
    sensitivity: Tensor

    def __init__(self, scale: Scale, base: Gaussian, grid: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("grid", torch.zeros(1, 1, *grid))
        self.window, self.gain, self.power = scale.window, scale.gain, scale.power
        quiet = torch.ones(1) if scale.profile is None else torch.from_numpy(1 / scale.profile)[None, None]
        self.register_buffer("sensitivity", 0.5 * quiet.float())
        self.white: nn.Conv2d | None = None
        if scale.window != 1:
            own = scale.gaussian.after(base)
            channels = len(own.mean)
            self.white = nn.Conv2d(channels, channels, 1).requires_grad_(False)
            self.white.weight.copy_(torch.from_numpy(own.whitener)[:, :, None, None])
            self.white.bias.copy_(torch.from_numpy(-own.whitener @ own.mean))  # type: ignore[union-attr]

    def forward(self, field: Tensor) -> Tensor:
        """``(N, C, h, w)`` to nats ``(N, 1, h, w)``."""
        nats = self.sensitivity * torch.square(self._white(field)).sum(1, keepdim=True)
        if self.power != 1.0 or self.gain != 1.0:
            nats = self.gain * torch.pow(nats, self.power)
        if self.window == WHOLE:
            return nats + self.grid
        rim = self.window - 1
        return functional.max_pool2d(functional.pad(nats, (rim,) * 4, value=-math.inf), self.window, 1) if rim else nats

    def _white(self, field: Tensor) -> Tensor:
        if self.white is None:
            return field
        whole = self.window == WHOLE
        pooled = functional.adaptive_avg_pool2d(field, 1) if whole else functional.avg_pool2d(field, self.window, 1)
        return self.white(pooled)
