"""Schoenholz et al., ICLR 2017: a tanh net trains while its depth is below about 6 depth scales of the correlation.

Nets of 100 units on the digits, bias variance 0.05, 300 steps. At each weight variance accuracy is taken over a grid of
depths around 6 xi, and interpolated to where it falls through one half. The paper uses 300 units, MNIST and CIFAR-10.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from benchmarks._results import Figure, beside
from benchmarks.papers._digits import best, train
from evengrad.theory import Initialisation, as_activation, correlation_slope, correlation_star, depth_scale, q_star

BIAS_VARIANCE, WIDTH, STEPS, SEEDS = 0.05, 100, 300, (0, 1)
WEIGHT_VARIANCES = (1.0, 1.3, 3.0, 4.0)
GRID = (0.35, 0.7, 1.0, 1.4, 2.0)  # depths in units of 6 xi
RATES = (0.03, 0.005, 0.001)
CRITICAL, DEEP = 1.760955, 100
_PAPER = "Schoenholz et al. 2017"


def measure() -> list[Figure]:
    """Return the depth at which training fails, over 6 xi, and what a critical net of 100 layers does."""
    figures = [_failing_depth(variance) for variance in WEIGHT_VARIANCES]
    for variance, claim in ((CRITICAL, "trains: 6 xi diverges"), (1.0, "does not train: 6 xi is 22")):
        figures.append(
            beside(
                f"schoenholz-2017/training accuracy, {DEEP} layers/sigma_w^2 = {variance:g}",
                [_accuracy(DEEP, variance, seed) for seed in SEEDS],
                published=None,
                source=f"{_PAPER}, figure 5: {claim}",
            )
        )
    return figures


def _failing_depth(weight_variance: float) -> Figure:
    limit = 6 * _correlation_scale(weight_variance)
    depths = [round(share * limit) for share in GRID]
    crossings = [
        _crossing(depths, [_accuracy(depth, weight_variance, seed) for depth in depths]) / limit for seed in SEEDS
    ]
    return beside(
        f"schoenholz-2017/depth of 50 % accuracy over 6 xi/sigma_w^2 = {weight_variance:g}, 6 xi = {limit:.0f}",
        crossings,
        published=1.0,
        source=f"{_PAPER}, figure 5",
    )


def _correlation_scale(weight_variance: float) -> float:
    tanh, initialisation = as_activation("tanh"), Initialisation(weight_variance, BIAS_VARIANCE)
    q = q_star(tanh, initialisation)
    return depth_scale(correlation_slope(tanh, correlation_star(tanh, q, initialisation), q, initialisation))


def _crossing(depths: list[int], accuracies: list[float]) -> float:
    """Return the depth at which accuracy falls through one half, between two depths; nan if it does not."""
    for index in range(len(depths) - 1):
        left, right = accuracies[index], accuracies[index + 1]
        if left >= 0.5 > right:
            return depths[index] + (left - 0.5) / (left - right) * (depths[index + 1] - depths[index])
    return math.nan


def _accuracy(depth: int, weight_variance: float, seed: int) -> float:
    """Return the accuracy on the training set, the best of three learning rates."""
    return best(train(_net(depth, weight_variance, seed), rate=rate, steps=STEPS, seed=seed) for rate in RATES).accuracy


def _net(depth: int, weight_variance: float, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for index in range(depth):
        linear = nn.Linear(WIDTH if index else 64, WIDTH)
        nn.init.normal_(linear.weight, std=math.sqrt(weight_variance / linear.in_features))
        nn.init.normal_(linear.bias, std=math.sqrt(BIAS_VARIANCE))
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))
