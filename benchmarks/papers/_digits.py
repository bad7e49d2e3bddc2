"""scikit-learn's handwritten digits, and the training loop that the papers' contrasts share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH = 128


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Return 1797 images of 64 pixels, standardised over the whole set, and their classes."""
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32)
    return (x - x.mean()) / x.std(), torch.tensor(classes)


@dataclass(frozen=True)
class Outcome:
    """Where a run ended: loss and accuracy on the training set, as the papers' claims are about optimisation."""

    loss: float
    accuracy: float


def train(model: nn.Module, *, rate: float, steps: int, seed: int, shape: tuple[int, ...] = (64,)) -> Outcome:
    """Train with SGD, momentum 0.9 and batches of 128; a run that diverges ends at chance."""
    x, y = digits()
    x = x.view(-1, *shape)
    draws = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    for _ in range(steps):
        chosen = torch.randint(len(x), (BATCH,), generator=draws)
        loss = F.cross_entropy(model(x[chosen]), y[chosen])
        if not math.isfinite(float(loss.detach())):
            return Outcome(math.inf, 0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        logits = model(x)
        return Outcome(float(F.cross_entropy(logits, y)), float((logits.argmax(1) == y).float().mean()))


def best(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome with the lowest loss."""
    return min(outcomes, key=lambda outcome: outcome.loss if math.isfinite(outcome.loss) else math.inf)
