from __future__ import annotations

import pytest
import torch

from edgeirf.calib.fitting.gaussian import Gaussian
from edgeirf.export.onnx.fold_timestep import FoldedNoiseNet
from edgeirf.trainers.noise_net import NoiseNet, NoiseNetConfig

CONFIGS = {
    "conv": NoiseNetConfig("conv", width=16, depth=2, expansion=2),
    "attention": NoiseNetConfig("attention", width=16, depth=2, expansion=2, heads=2),
}


def random_net(block: str) -> NoiseNet:
    torch.manual_seed(0)
    net = NoiseNet(CONFIGS[block], 6, (4, 5)).double().eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    factor = torch.randn(6, 6).double()
    net.linear.fit(factor @ factor.T)
    return net.requires_grad_(False)


@pytest.mark.parametrize("block", CONFIGS)
@pytest.mark.parametrize("t", [0, 100, 999])
@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_folding_is_exact_in_float64(block: str, t: int, scale: float) -> None:
    net = random_net(block)
    z = torch.randn(2, 6, 4, 5).double()
    expected = net(scale * z, torch.full((2,), t))
    assert torch.allclose(FoldedNoiseNet(net, t, scale)(z), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("block", CONFIGS)
def test_whitening_folds_into_the_last_layers(block: str) -> None:
    net = random_net(block)
    z, mean, whitener = torch.randn(2, 6, 4, 5).double(), torch.randn(6).double(), torch.randn(6, 6).double()
    raw = net(z, torch.tensor([200, 200]))
    expected = torch.einsum("oc,nchw->nohw", whitener, raw - mean[:, None, None])
    gaussian = Gaussian(mean.numpy(), whitener.numpy())
    assert torch.allclose(FoldedNoiseNet(net, 200).whiten(gaussian)(z), expected, rtol=1e-12, atol=1e-11)


def test_nothing_of_the_timestep_is_left() -> None:
    folded = FoldedNoiseNet(random_net("conv"), 100)
    assert not [name for name, _ in folded.named_parameters() if "time" in name or "modulate" in name]
