"""Sixty ReLU layers with batch normalisation and no skip: the gradient grows by 1.2 per layer towards the input."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Tower(nn.Module):
    """Linear, BatchNorm, ReLU, many times, with or without a skip past each."""

    def __init__(self, *, skip: bool, depth: int = 60, width: int = 32) -> None:
        super().__init__()
        self.skip = skip
        self.stem = nn.Linear(64, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()) for _ in range(depth)
        )
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        x = self.stem(x)
        for layer in self.layers:
            x = x + 0.1 * layer(x) if self.skip else layer(x)
        return self.head(x)  # type: ignore[no-any-return]


def train(seed: int, *, skip: bool = False) -> float:
    """Train with SGD; the healthy twin has skip connections."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = Tower(skip=skip)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 120)


CASE = Case(
    description="60-layer BatchNorm ReLU MLP without skips under SGD; the gradient explodes towards the input",
    run=train,
    twin=partial(train, skip=True),
    threshold=0.6,
    architecture="MLP",
    optimizer="SGD",
    fault="exploding-gradient",
    causes=frozenset({CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM}),
    repairs=frozenset({"residual"}),
)
