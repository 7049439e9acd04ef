"""InvAD: DDIM inversion of the clean features to noise, in few steps."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from edgeirf.calib.fitting.gaussian import Gaussian
from edgeirf.export.onnx.fold_timestep import FoldedNoiseNet
from edgeirf.trainers.diffusion import make_alphas_cumprod
from edgeirf.trainers.noise_net import NoiseNet


class Invad(nn.Module):
    """The final latent of DDIM inversion (arXiv 2504.05662), unrolled.

    Step k evaluates the noise at its target timestep t_k and moves z from t_(k-1) to t_k; t_0 is the clean picture.
    The latent is scored as IRF's field is, under Gaussians of good parts; the paper's N(0, I) is the fit ``standard``.

    Args:
        net: the trained noise network.
        timesteps: ascending targets of the steps; ``(333, 666, 999)`` for the paper's three.
        gaussian: whitens the latent; None leaves it raw.
    """

    def __init__(self, net: NoiseNet, timesteps: tuple[int, ...], gaussian: Gaussian | None = None) -> None:
        super().__init__()
        self.noises = nn.ModuleList(FoldedNoiseNet(net, t) for t in timesteps)
        alphas = [1.0, *(float(a) for a in make_alphas_cumprod()[list(timesteps)])]
        # z_t' = sqrt(a'/a) z_t + (sqrt(1 - a') - sqrt(a'/a) sqrt(1 - a)) eps (DDIM, equation 12 with sigma = 0).
        self.steps = []
        for before, after in pairwise(alphas):
            ratio = (after / before) ** 0.5
            self.steps.append((ratio, (1 - after) ** 0.5 - ratio * (1 - before) ** 0.5))
        self.white: nn.Linear | None = None
        if gaussian is not None:
            self.white = nn.Linear(len(gaussian.mean), len(gaussian.mean)).requires_grad_(False)
            self.white.weight.copy_(torch.from_numpy(gaussian.whitener))
            self.white.bias.copy_(torch.from_numpy(-gaussian.whitener @ gaussian.mean))

    def forward(self, z: Tensor) -> Tensor:
        """``(N, C, h, w)`` standardised features to the latent ``(N, C, h, w)``."""
        for noise, (keep, add) in zip(self.noises, self.steps, strict=True):
            z = keep * z + add * noise(z)
        return z if self.white is None else self.white(z.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def invad_timesteps(steps: int) -> tuple[int, ...]:
    """``steps`` evenly spaced timesteps that end at 999: 3 gives 333, 666, 999."""
    return tuple(999 * (k + 1) // steps for k in range(steps))
