"""Backbone features of several strides on one grid, standardised: the space in which the diffusion model lives."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeirf.errors import UsageError

GRID_STRIDE = 16
"""Input pixels per grid position."""


class FeatureExtractor(nn.Module):
    """phi(x) and z = (phi(x) - mean) / std.

    Args:
        backbone: gives a list of feature maps.
        size: ``(height, width)`` of the input, pixels.
        taps: which of the feature maps to use; None takes the last of each stride up to the grid's, and where one
            stride has several stages only the deepest.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, size: tuple[int, int], taps: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.grid = (size[0] // GRID_STRIDE, size[1] // GRID_STRIDE)
        with torch.inference_mode():
            shapes = [tuple(f.shape) for f in backbone(torch.zeros(1, 3, *size))]
        self.taps = taps if taps is not None else _deepest_of_each_stride(shapes, size)
        if not self.taps or max(self.taps) >= len(shapes):
            raise UsageError(f"the backbone gives {len(shapes)} feature maps; taps {self.taps} are not among them")
        self.channels = sum(shapes[tap][1] for tap in self.taps)
        self.register_buffer("mean", torch.zeros(self.channels))
        self.register_buffer("std", torch.ones(self.channels))

    def features(self, x: Tensor) -> Tensor:
        """phi(x): ``(N, 3, H, W)`` network input to ``(N, C, h, w)``, every tap brought to the grid."""
        maps = self.backbone(x)
        return torch.cat([_to_grid(maps[tap], self.grid) for tap in self.taps], dim=1)

    def standardise(self, features: Tensor) -> Tensor:
        """phi to z, ``(N, C, h, w)`` both."""
        return (features - self.mean[:, None, None]) / self.std[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """z: ``(N, 3, H, W)`` network input to standardised features ``(N, C, h, w)``."""
        return self.standardise(self.features(x))


def _to_grid(features: Tensor, grid: tuple[int, int]) -> Tensor:
    height, width = int(features.shape[2]), int(features.shape[3])
    if (height, width) == grid:
        return features
    if height % grid[0] == 0 and width % grid[1] == 0:
        return functional.avg_pool2d(features, (height // grid[0], width // grid[1]))
    return functional.interpolate(features, grid, mode="bilinear", align_corners=False)


def _deepest_of_each_stride(shapes: list[tuple[int, ...]], size: tuple[int, int]) -> tuple[int, ...]:
    deepest = {size[0] // shape[2]: index for index, shape in enumerate(shapes)}
    return tuple(index for stride, index in sorted(deepest.items()) if stride <= GRID_STRIDE)
