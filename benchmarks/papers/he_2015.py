"""He et al., ICCV 2015: with 30 ReLU layers Xavier's weights stall and He's converge; with 22 both do, He's sooner.

The paper trains convolutional nets on ImageNet; here they are fully connected nets of 128 units and convolutional ones
of 16 channels on the digits, some hundred steps, the best of four learning rates each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from benchmarks._results import Figure, beside
from benchmarks.papers._digits import Outcome, best, train

RATES, SEEDS = (0.03, 0.01, 0.003, 0.001), (0, 1)
_PAPER = "He et al. 2015"


def measure() -> list[Figure]:
    """Return final losses and accuracies; chance is 2.303 and 0.1."""
    figures: list[Figure] = []
    for kind, depth, steps, claim in (
        ("MLP", 14, 400, "both converge, equally well (table 2: 33.82 and 33.90 % error)"),
        ("MLP", 22, 400, "both converge, He sooner (figure 2)"),
        ("MLP", 30, 400, "Xavier completely stalls, He converges (figure 3)"),
        ("conv", 30, 250, "Xavier completely stalls, He converges (figure 3)"),
    ):
        for name, numerator in (("Xavier", 1.0), ("He", 2.0)):
            runs = [best(_run(kind, depth, numerator, rate, steps, seed=seed) for rate in RATES) for seed in SEEDS]
            figures += _figures(f"{kind}, {depth} layers, {name}", runs, f"{_PAPER}: {claim}")
    return figures


def _figures(what: str, runs: Sequence[Outcome], source: str) -> list[Figure]:
    rates = f"best of {len(RATES)} learning rates"
    losses, accuracies = [run.loss for run in runs], [run.accuracy for run in runs]
    return [
        beside(f"he-2015/training loss, {rates}/{what}", losses, published=None, source=source, unit="nats"),
        beside(f"he-2015/training accuracy, {rates}/{what}", accuracies, published=None, source=source),
    ]


def _run(kind: str, depth: int, numerator: float, rate: float, steps: int, *, seed: int) -> Outcome:
    torch.manual_seed(seed)
    model, shape = (_mlp(depth), (64,)) if kind == "MLP" else (_conv(depth), (1, 8, 8))
    for layer in model:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            fan_in = layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=math.sqrt(numerator / fan_in))
            nn.init.zeros_(layer.bias)
    return train(model, rate=rate, steps=steps, seed=seed, shape=shape)


def _mlp(depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(depth - 1):
        layers += [nn.Linear(128 if index else 64, 128), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 10))


def _conv(depth: int) -> nn.Sequential:
    """Return 3 x 3 convolutions on 8 x 8 and, from a third on, 4 x 4 pixels, and a linear layer."""
    layers: list[nn.Module] = []
    for index in range(depth - 1):
        stride = 2 if index == depth // 3 else 1
        layers += [nn.Conv2d(16 if index else 1, 16, 3, stride=stride, padding=1, padding_mode="circular"), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 10))
