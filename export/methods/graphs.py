"""The whole network of a bundle as one module: image in, whitened field out, nothing of the timestep left."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from edgeirf.calib.fitting.gaussian import Gaussian
from edgeirf.export.onnx.fold_timestep import FoldedNoiseNet
from edgeirf.trainers.diffusion import make_alphas_cumprod
from edgeirf.trainers.features import FeatureExtractor
from edgeirf.trainers.noise_net import NoiseNet


class IrfGraph(nn.Module):
    """One evaluation of the inverse residual field at one timestep.

    A DDIM step from t to any neighbour moves z-bar by (sigma_t' - sigma_t) eps_theta(z_t, t): the residual per unit of
    sigma is eps_theta itself whichever neighbour is taken, so one evaluation at z_t = sqrt(alpha-bar_t) z, the clean
    features without noise, is the field. This
    is edgeirf's derivation from DDIM (Song et al., arXiv 2010.02502, equation 14) of the field of OSD-IRF
    (arXiv 2604.18393), of which only the abstract was at hand.

    Args:
        extractor: frozen backbone and feature statistics.
        net: the trained noise network.
        t: the timestep, 0..999.
        gaussian: mu and Sigma^-1/2 of the normal field, folded into the last layer; None leaves the field raw.
    """

    def __init__(self, extractor: FeatureExtractor, net: NoiseNet, t: int, gaussian: Gaussian | None = None) -> None:
        super().__init__()
        self.extractor = extractor
        # z_t without its noise: the clean features, scaled as the network saw them at t.
        self.noise = FoldedNoiseNet(net, t, input_scale=float(make_alphas_cumprod()[t]) ** 0.5)
        if gaussian is not None:
            self.noise.whiten(torch.from_numpy(gaussian.mean), torch.from_numpy(gaussian.whitener))

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, H, W)`` network input to the whitened field ``(N, C, h, w)``."""
        field: Tensor = self.noise(self.extractor(image))
        return field


class InvadGraph(nn.Module):
    """InvAD (arXiv 2504.05662): DDIM inversion of the clean features to noise in few steps, unrolled.

    Step k evaluates the noise at its target timestep t_k and moves z from t_(k-1) to t_k; t_0 is the clean image.

    Args:
        extractor: frozen backbone and feature statistics.
        net: the trained noise network.
        timesteps: ascending targets of the steps; ``(333, 666, 999)`` for the paper's three.
    """

    def __init__(self, extractor: FeatureExtractor, net: NoiseNet, timesteps: tuple[int, ...]) -> None:
        super().__init__()
        self.extractor = extractor
        self.noises = nn.ModuleList(FoldedNoiseNet(net, t) for t in timesteps)
        alphas = [1.0, *(float(a) for a in make_alphas_cumprod()[list(timesteps)])]
        # z_t' = sqrt(a'/a) z_t + (sqrt(1 - a') - sqrt(a'/a) sqrt(1 - a)) eps (DDIM, equation 12 with sigma = 0).
        self.steps = []
        for before, after in pairwise(alphas):
            ratio = (after / before) ** 0.5
            self.steps.append((ratio, (1 - after) ** 0.5 - ratio * (1 - before) ** 0.5))

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, H, W)`` network input to the final latent ``(N, C, h, w)``."""
        z: Tensor = self.extractor(image)
        for noise, (keep, add) in zip(self.noises, self.steps, strict=True):
            z = keep * z + add * noise(z)
        return z


def invad_timesteps(steps: int) -> tuple[int, ...]:
    """``steps`` evenly spaced timesteps that end at 999: 3 gives 333, 666, 999."""
    return tuple(999 * (k + 1) // steps for k in range(steps))
