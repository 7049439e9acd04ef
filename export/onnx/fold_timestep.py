"""At a fixed timestep the noise network's time embedding, modulations and gates are constants: fold them into weights.

With shift, scale and gate known, ``W (norm * (1 + scale) + shift) + b`` is ``(W diag(1 + scale)) norm + (b + W shift)``
and ``gate * (W y + b)`` is ``(diag(gate) W) y + gate * b``: exact, and nothing of t is left in the graph.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgeirf.calib.fitting.gaussian import Gaussian
from edgeirf.trainers.noise_net import Attention, AttentionBlock, ConvBlock, NoiseNet, layer_norm


class FoldedNoiseNet(nn.Module):
    """eps_theta(., t) at one timestep, then whitened: ``(N, C, h, w)`` to ``(N, C, h, w)``.

    Args:
        net: the trained network; it is not changed.
        t: the timestep, 0..999.
        input_scale: factor of the input, folded in too.
    """

    positions: Tensor

    def __init__(self, net: NoiseNet, t: int, input_scale: float = 1.0) -> None:
        super().__init__()
        with torch.no_grad():
            condition = net.embed_time(torch.tensor([t]))
            weight, bias = net.project_in.weight.double(), net.project_in.bias.double()
            self.project_in = _linear(input_scale * weight, bias, like=net.project_in)
            self.register_buffer("positions", net.positions)
            self.blocks = nn.ModuleList(fold_block(block, condition) for block in net.blocks)
            shift, scale = (v.flatten() for v in net.modulate_out(condition))
            self.project_out = fold_modulation(net.project_out, shift, scale)
            matrix = input_scale * net.linear.matrix(t)
            self.linear = _linear(matrix, torch.zeros(len(matrix)).to(matrix), like=net.project_out)

    def whiten(self, gaussian: Gaussian) -> FoldedNoiseNet:
        """Folds Sigma^-1/2 (r - mu) into the last layers: W' = Sigma^-1/2 W, b' = Sigma^-1/2 (b - mu). In place."""
        mean, whitener = torch.from_numpy(gaussian.mean), torch.from_numpy(gaussian.whitener)
        weight, bias = (p.detach().double() for p in (self.project_out.weight, self.project_out.bias))
        self.project_out = _linear(whitener @ weight, whitener @ (bias - mean), like=self.project_out)
        weight, bias = self.linear.weight.detach().double(), self.linear.bias.detach().double()
        self.linear = _linear(whitener @ weight, whitener @ bias, like=self.linear)
        return self

    def forward(self, z: Tensor) -> Tensor:
        """``(N, C, h, w)`` standardised features to the field ``(N, C, h, w)``."""
        z = z.permute(0, 2, 3, 1)
        x = self.project_in(z) + self.positions
        for block in self.blocks:
            x = block(x)
        field: Tensor = self.project_out(layer_norm(x)) + self.linear(z)
        return field.permute(0, 3, 1, 2)


class FoldedConvBlock(nn.Module):
    """x + MLP(norm(depth-wise 7x7(x))), channels last."""

    def __init__(self, block: ConvBlock, condition: Tensor) -> None:
        super().__init__()
        shift, scale, gate = (v.flatten() for v in block.modulate(condition))
        self.depthwise = block.depthwise
        self.mlp = fold_mlp(block.mlp, shift, scale, gate)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, h, w, width)`` to the same."""
        y = self.depthwise(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        folded: Tensor = x + self.mlp(layer_norm(y))
        return folded


class FoldedAttentionBlock(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)), channels last."""

    def __init__(self, block: AttentionBlock, condition: Tensor) -> None:
        super().__init__()
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (v.flatten() for v in block.modulate(condition))
        self.attention = Attention(block.attention.project.in_features, block.attention.heads)
        self.attention.qkv = fold_modulation(block.attention.qkv, shift_a, scale_a)
        self.attention.project = fold_gate(block.attention.project, gate_a)
        self.mlp = fold_mlp(block.mlp, shift_m, scale_m, gate_m)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, h, w, width)`` to the same."""
        x = x + self.attention(layer_norm(x))
        folded: Tensor = x + self.mlp(layer_norm(x))
        return folded


def fold_block(block: nn.Module, condition: Tensor) -> nn.Module:
    """The block at the timestep whose embedding is ``condition``, ``(1, width)``."""
    if isinstance(block, ConvBlock):
        return FoldedConvBlock(block, condition)
    assert isinstance(block, AttentionBlock)  # noqa: S101
    return FoldedAttentionBlock(block, condition)


def fold_mlp(mlp: nn.Sequential, shift: Tensor, scale: Tensor, gate: Tensor) -> nn.Sequential:
    """Linear, GELU, linear with the modulation before and the gate behind folded in."""
    first, activation, last = mlp
    assert isinstance(first, nn.Linear)  # noqa: S101
    assert isinstance(last, nn.Linear)  # noqa: S101
    return nn.Sequential(fold_modulation(first, shift, scale), activation, fold_gate(last, gate))


def fold_modulation(layer: nn.Linear, shift: Tensor, scale: Tensor) -> nn.Linear:
    """The layer with ``x * (1 + scale) + shift`` before it folded in; ``shift`` and ``scale`` are ``(inputs,)``."""
    weight, bias = layer.weight.double(), layer.bias.double()
    return _linear(weight * (1 + scale.double()), bias + weight @ shift.double(), like=layer)


def fold_gate(layer: nn.Linear, gate: Tensor) -> nn.Linear:
    """The layer with ``gate *`` behind it folded in; ``gate`` is ``(outputs,)``."""
    weight, bias = layer.weight.double(), layer.bias.double()
    return _linear(gate.double()[:, None] * weight, gate.double() * bias, like=layer)


def _linear(weight: Tensor, bias: Tensor, like: nn.Linear) -> nn.Linear:
    folded = nn.Linear(weight.shape[1], weight.shape[0])
    folded.weight = nn.Parameter(weight.detach().to(like.weight.dtype), requires_grad=False)
    folded.bias = nn.Parameter(bias.detach().to(like.weight.dtype), requires_grad=False)
    return folded
