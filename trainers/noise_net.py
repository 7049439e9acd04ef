"""eps_theta(z, t): the noise networks. Unconditional; the timestep enters by adaptive layer norm (adaLN-zero).

The network learns what the best linear estimate of the noise leaves over. That estimate is known in closed form from
the covariance of the features (:class:`WienerEstimate`), so training starts where a Mahalanobis distance ends: the
idea of preconditioning (Karras et al., arXiv 2206.00364, section 5) with the full covariance in place of one scalar.

Two blocks share everything but how positions talk to each other: depth-wise 7x7 convolution (ConvNeXt, Liu et al.,
arXiv 2201.03545), cheap on CPUs and small GPUs, and self-attention (DiT, Peebles & Xie, arXiv 2212.09748).
Every linear layer that adaLN touches stands right behind a norm or right before a gate, so that at a fixed timestep
all of it folds into the weights (:mod:`edgeirf.export.onnx.fold_timestep`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeirf.errors import UsageError
from edgeirf.trainers.diffusion import make_alphas_cumprod

NORM_EPS = 1e-6


@dataclass(frozen=True)
class NoiseNetConfig:
    """Size of a noise network.

    Attributes:
        block: ``conv`` or ``attention``.
        width: channels inside.
        depth: number of blocks.
        expansion: MLP width over ``width``.
        heads: attention heads; unused by ``conv``.
    """

    block: Literal["conv", "attention"]
    width: int
    depth: int
    expansion: int = 4
    heads: int = 6


PRESETS = {
    "nano": NoiseNetConfig("conv", width=128, depth=3, expansion=3),
    "small": NoiseNetConfig("conv", width=192, depth=3),
    "base": NoiseNetConfig("attention", width=384, depth=12),
}


class NoiseNet(nn.Module):
    """The noise function.

    Args:
        config: size, usually one of ``PRESETS``.
        channels: channels C of the features.
        grid: ``(h, w)`` positions; the position code is made for it, so that the network knows what belongs where.
    """

    positions: Tensor

    def __init__(self, config: NoiseNetConfig, channels: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.linear = WienerEstimate(channels)
        self.embed_time = TimeEmbedding(width)
        self.project_in = nn.Linear(channels, width)
        self.register_buffer("positions", _position_code(width, grid))
        block = ConvBlock if config.block == "conv" else AttentionBlock
        self.blocks = nn.ModuleList(block(config) for _ in range(config.depth))
        self.modulate_out = Modulation(width, 2)
        self.project_out = nn.Linear(width, channels)
        nn.init.zeros_(self.project_out.weight)
        nn.init.zeros_(self.project_out.bias)

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        """``z`` ``(N, C, h, w)`` and timesteps ``t`` ``(N,)`` to the predicted noise ``(N, C, h, w)``."""
        condition = self.embed_time(t)
        x = self.project_in(z.permute(0, 2, 3, 1)) + self.positions
        for block in self.blocks:
            x = block(x, condition)
        shift, scale = self.modulate_out(condition)
        left_over: Tensor = self.project_out(layer_norm(x) * (1 + scale) + shift)
        return self.linear(z, t) + left_over.permute(0, 3, 1, 2)


class WienerEstimate(nn.Module):
    """E[eps | z_t] for Gaussian features, sqrt(1 - a) (a Sigma + (1 - a) I)^-1 z_t with a = alpha-bar_t.

    Nothing in it is learned by gradient descent.

    Args:
        channels: channels C of the features; Sigma starts as the identity.
    """

    basis: Tensor
    eigenvalues: Tensor
    alphas_cumprod: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("basis", torch.eye(channels))
        self.register_buffer("eigenvalues", torch.ones(channels))
        self.register_buffer("alphas_cumprod", make_alphas_cumprod(), persistent=False)

    def fit(self, covariance: Tensor) -> None:
        """Takes Sigma, ``(C, C)``, the covariance of the standardised features over positions."""
        eigenvalues, basis = torch.linalg.eigh(covariance.double())
        self.eigenvalues.copy_(eigenvalues.clamp_min(0))
        self.basis.copy_(basis)

    def gain(self, t: Tensor) -> Tensor:
        """Factor of each eigenvector, ``(N, C)`` float64, at timesteps ``(N,)``."""
        alpha_bar = self.alphas_cumprod[t][:, None]
        return (1 - alpha_bar).sqrt() / (alpha_bar * self.eigenvalues.double() + 1 - alpha_bar)

    def matrix(self, t: int) -> Tensor:
        """The estimate at one timestep as one ``(C, C)`` float64 matrix."""
        basis = self.basis.double()
        return (basis * self.gain(torch.tensor([t], device=basis.device))) @ basis.T

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        """``z`` ``(N, C, h, w)`` and timesteps ``(N,)`` to the estimate ``(N, C, h, w)``."""
        coordinates = torch.einsum("cm,nchw->nmhw", self.basis, z)
        return torch.einsum("cm,nmhw->nchw", self.basis, self.gain(t).to(z.dtype)[:, :, None, None] * coordinates)


class TimeEmbedding(nn.Module):
    """Sinusoids of t (Vaswani et al., arXiv 1706.03762), then a two-layer MLP."""

    def __init__(self, width: int, frequencies: int = 128) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.mlp = nn.Sequential(nn.Linear(2 * frequencies, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        """``(N,)`` integers to ``(N, width)``."""
        exponent = torch.arange(self.frequencies, device=t.device, dtype=torch.float32) / self.frequencies
        angles = t[:, None].float() * torch.exp(-math.log(10_000.0) * exponent)
        waves = torch.cat([angles.cos(), angles.sin()], dim=1)
        embedded: Tensor = self.mlp(waves.to(next(self.mlp.parameters()).dtype))
        return embedded


class Modulation(nn.Module):
    """adaLN-zero: ``parts`` vectors of one time embedding, all zero at the start of training."""

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.parts = parts
        self.linear = nn.Linear(width, parts * width)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, condition: Tensor) -> tuple[Tensor, ...]:
        """``(N, width)`` to ``parts`` tensors ``(N, 1, 1, width)``."""
        return self.linear(functional.silu(condition))[:, None, None, :].chunk(self.parts, dim=-1)


class ConvBlock(nn.Module):
    """x + gate * MLP(norm(depth-wise 7x7(x)) * (1 + scale) + shift), channels last."""

    def __init__(self, config: NoiseNetConfig) -> None:
        super().__init__()
        width = config.width
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        with torch.no_grad():  # starts near the identity: a position's own features are most of what its noise hangs on
            self.depthwise.weight[:, 0, 3, 3] += 1.0
        self.modulate = Modulation(width, 3)
        self.mlp = make_mlp(width, config.expansion)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """``(N, h, w, width)`` to the same."""
        shift, scale, gate = self.modulate(condition)
        y = self.depthwise(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return x + gate * self.mlp(layer_norm(y) * (1 + scale) + shift)


class AttentionBlock(nn.Module):
    """The DiT block: gated self-attention over all positions, then a gated MLP, channels last."""

    def __init__(self, config: NoiseNetConfig) -> None:
        super().__init__()
        if config.width % config.heads:
            raise UsageError(f"width {config.width} is not a multiple of {config.heads} heads")
        self.attention = Attention(config.width, config.heads)
        self.modulate = Modulation(config.width, 6)
        self.mlp = make_mlp(config.width, config.expansion)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """``(N, h, w, width)`` to the same."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.modulate(condition)
        x = x + gate_a * self.attention(layer_norm(x) * (1 + scale_a) + shift_a)
        return x + gate_m * self.mlp(layer_norm(x) * (1 + scale_m) + shift_m)


class Attention(nn.Module):
    """Multi-head self-attention over the grid."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, h, w, width)`` to the same."""
        n, h, w, width = x.shape
        q, k, v = self.qkv(x).reshape(n, h * w, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, h, w, width)
        projected: Tensor = self.project(mixed)
        return projected


def make_mlp(width: int, expansion: int) -> nn.Sequential:
    """Linear, GELU, linear."""
    return nn.Sequential(nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width))


def layer_norm(x: Tensor) -> Tensor:
    """Layer norm over the last axis without learned scale: adaLN brings its own."""
    return functional.layer_norm(x, (int(x.shape[-1]),), eps=NORM_EPS)


def _position_code(width: int, grid: tuple[int, int]) -> Tensor:
    """Fixed 2-D sinusoids ``(h, w, width)``: half of the channels for rows, half for columns."""
    frequencies = torch.exp(-math.log(10_000.0) * torch.arange(width // 4) / (width // 4))
    rows = torch.arange(grid[0])[:, None, None] * frequencies + torch.zeros(grid[0], grid[1], 1)
    columns = torch.arange(grid[1])[None, :, None] * frequencies + torch.zeros(grid[0], grid[1], 1)
    return torch.cat([rows.sin(), rows.cos(), columns.sin(), columns.cos()], dim=-1)
