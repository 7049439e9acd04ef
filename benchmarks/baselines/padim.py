"""PaDiM (Defard et al., arXiv 2011.08785): one Gaussian of the features for each grid position."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from edgeirf.trainers.features import FeatureExtractor

CHANNELS = 100
"""Channels that are drawn from all: the paper's 100 of ResNet-18's 448."""
REGULARISATION = 0.01
"""Added to the diagonal of every covariance (the paper's epsilon), on standardised features."""


class PadimGraph(nn.Module):
    """Image in; sqrt(2 M) out, with M the Mahalanobis distance at each position: the anomaly map is M.

    Args:
        extractor: frozen backbone, standardised.
        z: standardised features of the training pictures ``(n, C, h, w)``.
        seed: draws the channels.
    """

    channels: Tensor
    select: Tensor
    mean: Tensor
    whitener: Tensor

    def __init__(self, extractor: FeatureExtractor, z: Tensor, seed: int = 0) -> None:
        super().__init__()
        self.extractor = extractor
        rng = np.random.default_rng(seed)
        count = min(CHANNELS, z.shape[1])
        self.register_buffer("channels", torch.from_numpy(np.sort(rng.permutation(z.shape[1])[:count])))
        # A convolution picks the channels: exported graphs hold no Gather.
        self.register_buffer("select", torch.eye(z.shape[1])[self.channels][:, :, None, None])
        vectors = z[:, self.channels].flatten(2).permute(2, 0, 1).double()  # (P, n, d)
        mean = vectors.mean(1, keepdim=True)
        centred = vectors - mean
        covariance = centred.mT @ centred / max(len(z) - 1, 1) + REGULARISATION * torch.eye(count).double()
        # |L^-1 (x - mean)| is the Mahalanobis distance where L L^T is the covariance.
        whitener = torch.linalg.solve_triangular(
            torch.linalg.cholesky(covariance), torch.eye(count).double().expand_as(covariance), upper=False
        )
        self.register_buffer("mean", mean.mT.float())  # (P, d, 1)
        self.register_buffer("whitener", whitener.float())  # (P, d, d)

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, H, W)`` network input to the field ``(N, 1, h, w)``."""
        z = torch.nn.functional.conv2d(self.extractor(image), self.select)
        white = self.whitener @ (z.flatten(2).permute(2, 1, 0) - self.mean)  # (P, d, N)
        distance = white.square().sum(1).sqrt()  # (P, N)
        height, width = self.extractor.grid
        return (2 * distance).sqrt().permute(1, 0).reshape(-1, 1, height, width)
