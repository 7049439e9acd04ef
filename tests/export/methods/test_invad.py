from __future__ import annotations

import pytest
import torch

from edgeirf.export.methods.invad import Invad, invad_timesteps
from edgeirf.trainers.diffusion import make_alphas_cumprod
from edgeirf.trainers.noise_net import NoiseNet, NoiseNetConfig


def random_net() -> NoiseNet:
    torch.manual_seed(0)
    net = NoiseNet(NoiseNetConfig("conv", width=16, depth=2, expansion=2), 6, (4, 5)).double().eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    factor = torch.randn(6, 6).double()
    net.linear.fit(factor @ factor.T)
    return net.requires_grad_(False)


@pytest.mark.parametrize(("steps", "timesteps"), [(1, (999,)), (3, (333, 666, 999)), (5, (199, 399, 599, 799, 999))])
def test_invad_timesteps(steps: int, timesteps: tuple[int, ...]) -> None:
    assert invad_timesteps(steps) == timesteps


def test_invad_is_ddim_inversion() -> None:
    """Step by step through x0 as in the paper, against the unrolled closed form."""
    net = random_net()
    z = torch.randn(1, 6, 4, 5).double()
    expected, before = z, torch.tensor(1.0).double()
    for t in (333, 666, 999):
        after, noise = make_alphas_cumprod()[t], net(expected, torch.tensor([t]))
        clean = (expected - (1 - before).sqrt() * noise) / before.sqrt()
        expected, before = after.sqrt() * clean + (1 - after).sqrt() * noise, after
    graph = Invad(net, (333, 666, 999))
    assert torch.allclose(graph(z), expected, rtol=1e-9, atol=1e-9)
