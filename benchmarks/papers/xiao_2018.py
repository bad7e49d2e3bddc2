"""Xiao et al., ICML 2018: a 10,000-layer tanh convolutional net without skips or normalisation.

What is measured is the gradient at initialisation, on the digits: its norm at the first layer over that at the last,
for delta-orthogonal kernels and for Gaussian ones at the same variances, and at an ordered and a chaotic point. The
paper trains the net on MNIST and CIFAR-10; that takes a GPU.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks._results import Figure, beside
from benchmarks.papers._digits import digits

CHANNELS, BATCH, SEEDS = 16, 4, 3
CRITICAL = (1.05, 2.01e-5)
_PAPER = "Xiao et al. 2018"


def measure() -> list[Figure]:
    """Return log10 of the ratio of gradient norms."""
    cells = (
        ("delta-orthogonal, critical", True, CRITICAL, (100, 1000, 10_000), "trains at 10,000 layers (figure 1)"),
        (
            "Gaussian, critical",
            False,
            CRITICAL,
            (100, 1000, 10_000),
            "not isometric, unlike delta-orthogonal (section 3)",
        ),
        ("Gaussian, ordered", False, (0.9, 0.0), (100, 1000), "vanishes (figure 2)"),
        ("Gaussian, chaotic", False, (1.3, 0.0), (100, 1000), "explodes (figure 2)"),
    )
    return [
        beside(
            f"xiao-2018/gradient norm, first layer over last/{name}, {depth:,} layers",
            [_decades(depth, orthogonal, variances, seed) for seed in range(SEEDS)],
            published=None,
            source=f"{_PAPER}: {claim}",
            unit="decades",
        )
        for name, orthogonal, variances, depths, claim in cells
        for depth in depths
    ]


def _decades(depth: int, orthogonal: bool, variances: tuple[float, float], seed: int) -> float:
    draws = torch.Generator().manual_seed(seed)
    images = digits()[0][torch.randint(1797, (BATCH,), generator=draws)].view(BATCH, 1, 8, 8)
    first = torch.randn(CHANNELS, 1, 3, 3, generator=draws) / 3
    x = F.conv2d(images, first, padding=1).requires_grad_()
    h = x
    for _ in range(depth):
        kernel = _kernel(orthogonal, variances[0], draws)
        bias = torch.randn(CHANNELS, generator=draws) * math.sqrt(variances[1])
        # Circular padding, as in the paper's theory: no border for the signal to leak out at.
        h = torch.tanh(F.conv2d(F.pad(h, (1, 1, 1, 1), mode="circular"), kernel, bias))
    toward = torch.randn(h.shape, generator=draws)
    (gradient,) = torch.autograd.grad(h, x, toward)
    # double: what float32 rounds to 0 is said to be 0 decades below its smallest number.
    size = float(gradient.double().norm()) or torch.finfo(torch.float32).tiny
    return math.log10(size / float(toward.norm()))


def _kernel(orthogonal: bool, variance: float, draws: torch.Generator) -> Tensor:
    if not orthogonal:
        return torch.randn(CHANNELS, CHANNELS, 3, 3, generator=draws) * math.sqrt(variance / (9 * CHANNELS))
    q, r = torch.linalg.qr(torch.randn(CHANNELS, CHANNELS, generator=draws))
    kernel = torch.zeros(CHANNELS, CHANNELS, 3, 3)
    kernel[:, :, 1, 1] = math.sqrt(variance) * q * r.diagonal().sign()
    return kernel
