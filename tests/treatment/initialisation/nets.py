"""Nets that the tests of initialisation share, and what they measure in them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Function = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, Function] = {
    "relu": F.relu, "leaky_relu": lambda x: F.leaky_relu(x, 0.2), "tanh": torch.tanh, "gelu": F.gelu, "silu": F.silu,
    "selu": F.selu, "elu": F.elu, "hardtanh": F.hardtanh, "softsign": F.softsign, "mish": F.mish,
    "hardswish": F.hardswish, "sigmoid": torch.sigmoid, "softplus": F.softplus,
}  # fmt: skip


class Tower(nn.Module):
    """Equal layers with a functional activation after each, and a head."""

    def __init__(self, layers: list[nn.Module], function: Function, head: nn.Module) -> None:
        super().__init__()
        self.layers, self.head, self.function = nn.ModuleList(layers), head, function

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.function(layer(x))
        return self.head(x.flatten(2).mean(2) if x.dim() > 2 else x)


def mlp(function: Function, depth: int, width: int = 96) -> Tower:
    return Tower([nn.Linear(width, width) for _ in range(depth)], function, nn.Linear(width, 10))


def cnn(function: Function, depth: int, channels: int = 24) -> Tower:
    widths = [3, *[channels] * depth]
    pairs = itertools.pairwise(widths)
    convs: list[nn.Module] = [nn.Conv2d(a, b, 3, padding=1, padding_mode="circular") for a, b in pairs]
    return Tower(convs, function, nn.Linear(channels, 10))


def gradients(model: Tower, x: Tensor) -> list[float]:
    """Return log10 of the rms of the gradient at every pre-activation, nearest the input first."""
    outputs: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        output.retain_grad()
        outputs.append(output)

    handles = [layer.register_forward_hook(keep) for layer in model.layers]
    F.cross_entropy(model(x), torch.arange(len(x)) % 10).backward()
    for handle in handles:
        handle.remove()
    model.zero_grad()
    found = [output.grad for output in outputs]
    # Mean squares below 1e-38 are 0 in float32.
    return [math.log10(float(grad.double().square().mean().sqrt()) + 1e-300) for grad in found if grad is not None]


def spread(model: Tower, x: Tensor) -> float:
    """Return decades between the largest and the smallest gradient over depth."""
    sizes = gradients(model, x)
    return max(sizes) - min(sizes)


class Block(nn.Module):
    """x + f(x) with two layers in the branch, with a normalisation before, after or nowhere."""

    def __init__(self, width: int, norm: str) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.before = nn.LayerNorm(width) if norm == "before" else nn.Identity()
        self.inside = nn.BatchNorm1d(width) if norm == "inside" else nn.Identity()
        self.after = nn.LayerNorm(width) if norm == "after" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.after(x + self.inside(self.second(F.relu(self.first(self.before(x))))))


class Residual(nn.Module):
    """A stem, blocks, and a head."""

    def __init__(self, blocks: int, width: int = 48, norm: str = "nowhere") -> None:
        super().__init__()
        self.stem = nn.Linear(width, width)
        self.layers = nn.ModuleList(Block(width, norm) for _ in range(blocks))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)
