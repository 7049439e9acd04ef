from __future__ import annotations

import pytest
import torch

from edgeirf.export.methods.irf import Irf
from edgeirf.trainers.diffusion import make_alphas_cumprod
from edgeirf.trainers.noise_net import NoiseNet, NoiseNetConfig


@pytest.mark.parametrize("t", [0, 200, 999])
def test_the_field_is_the_noise_estimate_at_the_features_without_noise(t: int) -> None:
    torch.manual_seed(0)
    net = NoiseNet(NoiseNetConfig("conv", width=16, depth=2, expansion=2), 6, (4, 5)).double().eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    factor = torch.randn(6, 6).double()
    net.linear.fit(factor @ factor.T)
    z = torch.randn(2, 6, 4, 5).double()
    expected = net(make_alphas_cumprod()[t].sqrt() * z, torch.tensor([t, t]))
    assert torch.allclose(Irf(net.requires_grad_(False), t)(z), expected, rtol=1e-9, atol=1e-9)
