"""OSD-IRF: one evaluation of the noise network at one timestep."""

from __future__ import annotations

from torch import Tensor, nn

from edgeirf.calib.fitting.gaussian import Gaussian
from edgeirf.export.onnx.fold_timestep import FoldedNoiseNet
from edgeirf.trainers.diffusion import make_alphas_cumprod
from edgeirf.trainers.noise_net import NoiseNet


class Irf(nn.Module):
    """The inverse residual field of standardised features.

    A DDIM step from t to any neighbour moves z-bar by (sigma_t' - sigma_t) eps_theta(z_t, t): the residual per unit of
    sigma is eps_theta itself whichever neighbour is taken, so one evaluation at z_t = sqrt(alpha-bar_t) z, the clean
    features without noise, is the field. This is edgeirf's derivation from DDIM (Song et al., arXiv 2010.02502,
    equation 14) of the field of OSD-IRF (arXiv 2604.18393), of which only the abstract was at hand.

    Args:
        net: the trained noise network.
        t: the timestep, 0..999.
        gaussian: whitens the field, folded into the last layer; None leaves it raw.
    """

    def __init__(self, net: NoiseNet, t: int, gaussian: Gaussian | None = None) -> None:
        super().__init__()
        # z_t without its noise: the clean features, scaled as the network saw them at t.
        self.noise = FoldedNoiseNet(net, t, input_scale=float(make_alphas_cumprod()[t]) ** 0.5)
        if gaussian is not None:
            self.noise.whiten(gaussian)

    def forward(self, z: Tensor) -> Tensor:
        """``(N, C, h, w)`` standardised features to the field ``(N, C, h, w)``."""
        field: Tensor = self.noise(z)
        return field
