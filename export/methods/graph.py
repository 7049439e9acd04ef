"""The whole network of a bundle as one module: image in, field out, nothing of the timestep left."""

from __future__ import annotations

from torch import Tensor, nn

from edgeirf.export.methods.density import Density
from edgeirf.trainers.features import FeatureExtractor


class BundleGraph(nn.Module):
    """Features, the method's field, its density.

    Args:
        extractor: frozen backbone and feature statistics.
        field: the method: standardised features to a field.
        density: None leaves the field as it is.
    """

    def __init__(self, extractor: FeatureExtractor, field: nn.Module, density: Density | None = None) -> None:
        super().__init__()
        self.extractor = extractor
        self.field = field
        self.density = density

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, H, W)`` network input to ``(N, C, h, w)``."""
        field: Tensor = self.field(self.extractor(image))
        return field if self.density is None else self.density(field)
