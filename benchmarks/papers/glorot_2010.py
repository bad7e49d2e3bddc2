"""Glorot and Bengio, AISTATS 2010: gradients by layer and singular values of layer Jacobians in a 5 x 1000 tanh net.

The paper's data were Shapeset, MNIST, CIFAR and ImageNet crops; here they are scikit-learn's digits. "Standard" weights
are uniform within 1/sqrt(fan_in), "normalised" ones within sqrt(6 / (fan_in + fan_out)); biases are 0.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks._results import Figure, beside
from benchmarks.papers._digits import digits

LAYERS, WIDTH, SAMPLES, SEEDS = 5, 1000, 3, 3
_PAPER = "Glorot and Bengio 2010"


def measure() -> list[Figure]:
    """Return mean singular values, and sizes of gradients in the first layer over those in the last."""
    figures = []
    for kind, singular in (("standard", 0.5), ("normalised", 0.8)):
        runs = [_run(kind, seed) for seed in range(SEEDS)]
        values = [value for means, _, _ in runs for value in means]
        figures += [
            beside(
                f"glorot-2010/mean singular value of layer Jacobian/{kind}",
                values,
                published=singular,
                source=f"{_PAPER}, section 4.2.1, in words",
            ),
            beside(
                f"glorot-2010/back-propagated gradient, layer 1 over 5/{kind}",
                [back for _, back, _ in runs],
                published=None,
                source=f"{_PAPER}, figure 7: shrinks with standard, flat with normalised weights",
            ),
            beside(
                f"glorot-2010/weight gradient, layer 2 over 5/{kind}",
                [weight for _, _, weight in runs],
                published=None,
                source=f"{_PAPER}, figure 8: flat with both",
            ),
        ]
    return figures


def _run(kind: str, seed: int) -> tuple[list[float], float, float]:
    """Return mean singular values by layer, and two ratios of standard deviations of gradients."""
    draws = torch.Generator().manual_seed(seed)
    x, y = digits()
    chosen = torch.randint(len(x), (500,), generator=draws)
    weights = [_weight(kind, fan_in, WIDTH, draws) for fan_in in (x.shape[1], *[WIDTH] * (LAYERS - 1))]
    readout = _weight(kind, WIDTH, 10, draws)
    h, pre = x[chosen], []
    for weight in weights:
        pre.append(h @ weight.T)
        h = pre[-1].tanh()
    loss = F.cross_entropy(h @ readout.T, y[chosen])
    gradients = torch.autograd.grad(loss, [*pre, *weights])
    back, weight_gradients = gradients[:LAYERS], gradients[LAYERS:]
    means = [_mean_singular_value(weights[layer + 1].detach(), pre[layer].detach()) for layer in range(LAYERS - 1)]
    # The first layer's weights have another shape, and inputs that are no tanh: the paper's figure starts at the same.
    return means, float(back[0].std() / back[-1].std()), float(weight_gradients[1].std() / weight_gradients[-1].std())


def _weight(kind: str, fan_in: int, fan_out: int, draws: torch.Generator) -> Tensor:
    bound = 1 / math.sqrt(fan_in) if kind == "standard" else math.sqrt(6 / (fan_in + fan_out))
    return ((2 * torch.rand(fan_out, fan_in, generator=draws) - 1) * bound).requires_grad_()


def _mean_singular_value(weight: Tensor, pre: Tensor) -> float:
    """Return the mean singular value of dz_next / dz, averaged over a few samples."""
    slopes = 1 - pre[:SAMPLES].tanh() ** 2
    return float(torch.stack([torch.linalg.svdvals(weight * slope).mean() for slope in slopes]).mean())
