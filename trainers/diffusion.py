"""The forward process of DDPM (Ho et al., arXiv 2006.11239) with the linear schedule, and its training loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

TIMESTEPS = 1000


def make_alphas_cumprod(dtype: torch.dtype = torch.float64) -> Tensor:
    """alpha-bar_t = prod (1 - beta_s), ``(1000,)``, betas linear from 1e-4 to 2e-2 (section 4 of the paper)."""
    betas = torch.linspace(1e-4, 2e-2, TIMESTEPS, dtype=torch.float64)
    return torch.cumprod(1.0 - betas, dim=0).to(dtype)


def q_sample(z: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """z_t = sqrt(alpha-bar_t) z + sqrt(1 - alpha-bar_t) noise (equation 4).

    ``z`` and ``noise`` are ``(N, C, h, w)``, ``t`` is ``(N,)``.
    """
    alpha_bar = alphas_cumprod[t][:, None, None, None]
    return alpha_bar.sqrt() * z + (1.0 - alpha_bar).sqrt() * noise


def noise_loss(
    noise_net: nn.Module, z: Tensor, alphas_cumprod: Tensor, generator: torch.Generator, timesteps: int = TIMESTEPS
) -> Tensor:
    """The simple loss, mean of |noise - eps_theta(z_t, t)|^2 (equation 14).

    Args:
        noise_net: eps_theta.
        z: standardised features, ``(N, C, h, w)``.
        alphas_cumprod: alpha-bar of every timestep.
        generator: draws timesteps and noise.
        timesteps: t is drawn uniformly from 0 to ``timesteps - 1``.
    """
    t = torch.randint(0, timesteps, (z.shape[0],), generator=generator).to(z.device)
    noise = torch.randn(z.shape, generator=generator).to(z.device)
    predicted = noise_net(q_sample(z, t, noise, alphas_cumprod), t)
    return torch.mean(torch.square(predicted.float() - noise))
