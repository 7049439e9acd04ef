"""PatchCore (Roth et al., arXiv 2106.08265): distance to the nearest of a memory of training patches.

Left out: the paper's re-weighting of the image score by the neighbours of the nearest patch. The image score is the
maximum of the smoothed map, as of every other method here.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edgeirf.trainers.features import FeatureExtractor

SHARE = 0.1
"""Share of the training patches that the memory keeps."""
MEMORY = 4096
"""Most patches in the memory: what an edge device has time for."""
POOL = 50_000
"""Patches that the memory is chosen from; more are thinned at random."""
PROJECTION = 128
"""Dimensions of the random projection in which the memory is chosen (the paper's)."""


class PatchCoreGraph(nn.Module):
    """Image in; sqrt(2 d) out, with d the distance to the nearest patch of the memory: the anomaly map is d.

    |x - m|^2 = |x|^2 + |m|^2 - 2 x m: one 1x1 convolution with the memory as its weights, and one minimum.

    Args:
        extractor: frozen backbone, standardised.
        memory: ``(K, C)`` patches.
    """

    def __init__(self, extractor: FeatureExtractor, memory: Tensor) -> None:
        super().__init__()
        self.extractor = extractor
        self.nearest = nn.Conv2d(memory.shape[1], len(memory), 1)
        self.nearest.weight.data = -2 * memory[:, :, None, None]
        self.nearest.bias.data = memory.double().square().sum(1).float()
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, H, W)`` network input to the field ``(N, 1, h, w)``."""
        x = patches(self.extractor(image))
        squared = x.square().sum(1, keepdim=True) + self.nearest(x).amin(1, keepdim=True)
        return (2 * squared.clamp_min(1e-6).sqrt()).sqrt()


def patches(z: Tensor) -> Tensor:
    """Each position with its eight neighbours: 3x3 mean, the paper's locally aware patch features."""
    return functional.avg_pool2d(z, 3, stride=1, padding=1)


def fit_patchcore(
    extractor: FeatureExtractor, z: Tensor, seed: int = 0, share: float = SHARE, limit: int = MEMORY
) -> PatchCoreGraph:
    """Chooses the memory from the patches of the training pictures.

    Args:
        extractor: frozen backbone, standardised.
        z: standardised features of the training pictures ``(n, C, h, w)``.
        seed: of thinning, projection and first patch.
        share, limit: size of the memory.
    """
    pool = patches(z).permute(0, 2, 3, 1).reshape(-1, z.shape[1]).numpy()
    rng = np.random.default_rng(seed)
    count = max(1, min(limit, round(share * len(pool))))
    pool = pool[np.sort(rng.permutation(len(pool))[:POOL])]
    return PatchCoreGraph(extractor, torch.from_numpy(pool[greedy_coreset(pool, count, rng)]))


def greedy_coreset(pool: NDArray[np.float32], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """k-centre greedy: again and again the patch that is farthest from all that are chosen.

    Args:
        pool: ``(n, C)`` patches.
        count: how many to choose, at most n.
        rng: of the projection and of the first patch.

    Returns:
        indices into the pool, ``(count,)``, in the order of choice.
    """
    if pool.shape[1] > PROJECTION:
        pool = pool @ rng.normal(size=(pool.shape[1], PROJECTION)).astype(np.float32) / np.float32(PROJECTION**0.5)
    squares = np.einsum("nc,nc->n", pool, pool)
    chosen = np.empty(min(count, len(pool)), np.int64)
    chosen[0] = rng.integers(len(pool))
    nearest = np.full(len(pool), np.inf, np.float32)
    for index in range(len(chosen)):
        if index:
            chosen[index] = int(nearest.argmax())
        centre = pool[chosen[index]]
        np.minimum(nearest, squares - 2 * (pool @ centre) + centre @ centre, out=nearest)
        nearest[chosen[index]] = -np.inf
    return chosen
