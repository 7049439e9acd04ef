from __future__ import annotations

import pytest
import torch

from edgeirf.trainers.diffusion import make_alphas_cumprod, noise_loss, q_sample
from edgeirf.trainers.noise_net import PRESETS, NoiseNet, NoiseNetConfig, WienerEstimate


@pytest.mark.parametrize("t", [0, 100, 333, 999])
def test_schedule_is_the_linear_one_of_ddpm(t: int) -> None:
    betas = [1e-4 + (2e-2 - 1e-4) * s / 999 for s in range(1000)]
    product = 1.0
    for beta in betas[: t + 1]:
        product *= 1 - beta
    assert float(make_alphas_cumprod()[t]) == pytest.approx(product, rel=1e-12)


def test_q_sample_keeps_unit_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    z, noise = (torch.randn(64, 4, 8, 8, generator=generator) for _ in range(2))
    for t in (0, 100, 500, 999):
        z_t = q_sample(z, torch.full((64,), t), noise, make_alphas_cumprod(torch.float32))
        assert float(z_t.var()) == pytest.approx(1.0, abs=0.03)


def test_wiener_estimate_is_the_best_linear_one() -> None:
    """Against the least-squares solution on samples of the same Gaussian."""
    torch.manual_seed(0)
    factor = torch.randn(6, 6).double()
    covariance = factor @ factor.T / 6
    estimate = WienerEstimate(6)
    estimate.fit(covariance)
    z = (torch.linalg.cholesky(covariance) @ torch.randn(6, 400_000).double()).T
    noise = torch.randn(400_000, 6).double()
    for t in (50, 400, 900):
        alpha_bar = make_alphas_cumprod()[t]
        z_t = alpha_bar.sqrt() * z + (1 - alpha_bar).sqrt() * noise
        solution = torch.linalg.lstsq(z_t, noise).solution.T
        assert torch.allclose(estimate.matrix(t), solution, atol=0.02)


def test_wiener_estimate_is_the_same_as_matrix_and_in_steps() -> None:
    torch.manual_seed(0)
    factor = torch.randn(5, 5)
    estimate = WienerEstimate(5)
    estimate.fit(factor @ factor.T)
    z, t = torch.randn(3, 5, 2, 2), torch.tensor([3, 300, 900])
    whole = torch.stack(
        [torch.einsum("oc,chw->ohw", estimate.matrix(int(k)).float(), x) for x, k in zip(z, t, strict=True)]
    )
    assert torch.allclose(estimate(z, t), whole, atol=1e-4)


@pytest.mark.parametrize("preset", PRESETS)
def test_an_untrained_net_says_what_the_linear_estimate_says(preset: str) -> None:
    torch.manual_seed(0)
    net = NoiseNet(PRESETS[preset], 12, (4, 4))
    z, t = torch.randn(2, 12, 4, 4), torch.tensor([0, 999])
    assert torch.equal(net(z, t), net.linear(z, t))


@pytest.mark.parametrize("block", ["conv", "attention"])
def test_a_net_learns_what_the_linear_estimate_cannot(block) -> None:
    """Two values only, -1 and 1: far from Gaussian, so the best denoiser is not linear."""
    torch.manual_seed(0)
    net = NoiseNet(NoiseNetConfig(block, width=24, depth=2, heads=2), 4, (4, 4))
    alphas_cumprod = make_alphas_cumprod(torch.float32)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)

    def loss_of(step: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(step)
        z = torch.randint(0, 2, (64, 4, 4, 4), generator=generator).float() * 2 - 1
        return noise_loss(net, z, alphas_cumprod, generator)

    before = float(sum(loss_of(10_000 + k).detach() for k in range(8))) / 8
    for step in range(120):
        optimizer.zero_grad()
        loss_of(step).backward()
        optimizer.step()
    after = float(sum(loss_of(10_000 + k).detach() for k in range(8))) / 8
    assert after < 0.95 * before
