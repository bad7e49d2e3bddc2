"""Small things to learn, on which an architecture that can train does so within a few hundred steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

Batch = tuple[object, Tensor]


@dataclass(frozen=True)
class Task:
    """Batches, their loss, and what a constant answer costs."""

    batches: Callable[[int], Iterator[Batch]]
    loss: Callable[..., Tensor]
    guess: float


def _digits(seed: int, size: int = 64) -> Iterator[tuple[Tensor, Tensor]]:
    table = load_digits()
    data = torch.tensor(table.data, dtype=torch.float32)
    data = (data - data.mean()) / data.std()
    labels = torch.tensor(table.target)
    generator = torch.Generator().manual_seed(seed)
    while True:
        rows = torch.randint(len(data), (size,), generator=generator)
        yield data[rows], labels[rows]


def _shaped(*shape: int) -> Callable[[int], Iterator[Batch]]:
    def batches(seed: int) -> Iterator[Batch]:
        for data, labels in _digits(seed):
            yield data.view(-1, *shape), labels

    return batches


def _itself(seed: int) -> Iterator[Batch]:
    for data, _ in _digits(seed):
        yield data, data


def _mask(seed: int) -> Iterator[Batch]:
    for data, _ in _digits(seed):
        image = data.view(-1, 1, 8, 8)
        noisy = image + 0.3 * torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
        yield noisy, (image > 0.5).float()


def _pairs(seed: int) -> Iterator[Batch]:
    for data, labels in _digits(seed, 128):
        order = torch.argsort(labels)
        half = len(order) // 2
        partner = torch.where(torch.arange(half) % 2 == 0, order[1 : half + 1], order[half:])
        yield (data[order[:half]], data[partner]), (labels[order[:half]] == labels[partner]).float()


def _counting(seed: int) -> Iterator[Batch]:
    """Sequences that go up by a fixed stride, modulo 16."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        start = torch.randint(16, (32, 1), generator=generator)
        stride = torch.randint(1, 4, (32, 1), generator=generator)
        tokens = (start + stride * torch.arange(17)) % 16
        yield tokens[:, :-1], tokens[:, 1:]


def _recall(length: int) -> Callable[[int], Iterator[Batch]]:
    """The first entry of a sequence of noise is the answer."""

    def batches(seed: int) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(seed)
        while True:
            classes = torch.randint(4, (64,), generator=generator)
            data = 0.3 * torch.randn(64, length, 4, generator=generator)
            data[:, 0] = F.one_hot(classes, 4).float()
            yield data, classes

    return batches


def _per_token(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


LN10, LN2 = 2.303, 0.693
TASKS = {
    "digits": Task(_shaped(64), F.cross_entropy, LN10),
    "images": Task(_shaped(1, 8, 8), F.cross_entropy, LN10),
    "rows": Task(_shaped(8, 8), F.cross_entropy, LN10),
    "pixels": Task(_shaped(64, 1), F.cross_entropy, LN10),
    "itself": Task(_itself, F.mse_loss, 0.50),
    "mask": Task(_mask, F.binary_cross_entropy_with_logits, 0.62),
    "pairs": Task(_pairs, F.binary_cross_entropy_with_logits, LN2),
    "counting": Task(_counting, _per_token, 2.773),
    "recall": Task(_recall(60), F.cross_entropy, 1.386),
}
