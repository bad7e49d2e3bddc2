"""Synthetic data sets: each is fixed by its seed, made in milliseconds, and learnable by a healthy network."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Pairs(NamedTuple):
    """Inputs and targets, sample by sample."""

    x: Tensor
    y: Tensor

    def batch(self, size: int = 64) -> Pairs:
        """Return a random batch, drawn with torch's global generator."""
        index = torch.randint(len(self.x), (size,))
        return Pairs(self.x[index], self.y[index])


def clusters(seed: int, *, classes: int = 10, features: int = 64, samples: int = 1024, spread: float = 0.7) -> Pairs:
    """Return noisy points round one centre per class, unit variance per feature, and their class."""
    noise = _generator(seed)
    centres = torch.randn(classes, features, generator=noise)
    y = torch.randint(classes, (samples,), generator=noise)
    x = centres[y] + spread * torch.randn(samples, features, generator=noise)
    return Pairs(x / math.sqrt(1 + spread**2), y)


def checkerboard(seed: int, *, samples: int = 1024, cells: int = 3, features: int = 2) -> Pairs:
    """Return points of a square and the colour of their field; no linear map of fixed random features solves it.

    Inputs are uniform on [-1.7, 1.7] (unit variance); features beyond the first two are noise. Targets are 0.0 or 1.0.
    """
    noise = _generator(seed)
    x = 3.4 * torch.rand(samples, features, generator=noise) - 1.7
    field = ((x[:, :2] + 1.7) / 3.4 * cells).floor().sum(1)
    return Pairs(x, field % 2)


def spirals(seed: int, *, samples: int = 512, turns: float = 1.0) -> Pairs:
    """Return the points of two interleaved spirals and which of them each is on, 0.0 or 1.0."""
    noise = _generator(seed)
    y = torch.randint(2, (samples,), generator=noise).float()
    angle = (0.15 + 0.85 * torch.rand(samples, generator=noise)) * 2 * math.pi * turns
    radius = angle / (math.pi * turns) * (1 - 2 * y)
    x = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    return Pairs(x + 0.02 * torch.randn(samples, 2, generator=noise), y)


def waves(seed: int, *, features: int = 8, samples: int = 1024, noise_level: float = 0.0) -> Pairs:
    """Return standard normal inputs and a smooth non-linear target [N, 1] of unit variance, with noise if asked."""
    noise = _generator(seed)
    x = torch.randn(samples, features, generator=noise)
    y = torch.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.5 * x[:, 3:4]
    y = (y - y.mean()) / y.std()
    return Pairs(x, y + noise_level * torch.randn(samples, 1, generator=noise))


def bars(seed: int, *, size: int = 10, samples: int = 512, noise_level: float = 0.3) -> Pairs:
    """Return images [N, 1, size, size] of one noisy bar at a random place, and which of four ways it points."""
    noise = _generator(seed)
    y = torch.randint(4, (samples,), generator=noise)
    grid = torch.arange(size) - (size - 1) / 2
    rows, columns = torch.meshgrid(grid, grid, indexing="ij")
    angle = (y * math.pi / 4)[:, None, None]
    shift = (torch.rand(samples, 1, 1, generator=noise) - 0.5) * size / 2
    distance = (rows * angle.cos() + columns * angle.sin() - shift).abs()
    x = (distance < 0.8).float() + noise_level * torch.randn(samples, size, size, generator=noise)
    return Pairs(((x - x.mean()) / x.std()).unsqueeze(1), y)


def recall(seed: int, *, length: int, symbols: int = 4, samples: int = 256) -> Pairs:
    """Return one-hot sequences [N, T, symbols] of random symbols, and the first of them."""
    tokens = torch.randint(symbols, (samples, length), generator=_generator(seed))
    return Pairs(torch.nn.functional.one_hot(tokens, symbols).float(), tokens[:, 0])


def echo(seed: int, *, length: int, features: int = 1, samples: int = 256) -> Pairs:
    """Return standard normal sequences [N, T, features] and the sum of the last three steps [N, features]."""
    x = torch.randn(samples, length, features, generator=_generator(seed))
    return Pairs(x, x[:, -3:].sum(1) / math.sqrt(3))


def babble(seed: int, *, length: int = 24, symbols: int = 16, samples: int = 256) -> Pairs:
    """Return token sequences [N, T] of a random Markov chain with three successors per symbol, and the next tokens."""
    noise = _generator(seed)
    successors = torch.stack([torch.randperm(symbols, generator=noise)[:3] for _ in range(symbols)])
    tokens = torch.randint(symbols, (samples, length + 1), generator=noise)
    choice = torch.multinomial(torch.tensor([0.8, 0.15, 0.05]), samples * length, replacement=True, generator=noise)
    choice = choice.view(samples, length)
    for t in range(length):
        tokens[:, t + 1] = successors[tokens[:, t], choice[:, t]]
    return Pairs(tokens[:, :-1], tokens[:, 1:])


def _generator(seed: int) -> torch.Generator:
    """Return a generator of the data's own, so that a model's initialisation does not change the data."""
    return torch.Generator().manual_seed(seed)
