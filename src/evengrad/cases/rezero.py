"""Thirty residual blocks whose branches start at exactly zero: inside them, no gradient at step 0."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves
from evengrad.cases._loop import fit


class ReZero(nn.Module):
    """Residual blocks x + alpha f(x), alpha from zero."""

    def __init__(self, *, depth: int = 30, width: int = 48) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.alpha = nn.Parameter(torch.zeros(depth))
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        x = self.embed(x)
        for alpha, block in zip(self.alpha, self.blocks, strict=True):
            x = x + alpha * F.relu(block(x))
        return self.out(x)  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with Adam."""
    torch.manual_seed(seed)
    data = waves(seed)
    model = ReZero()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.mse_loss(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="30 ReZero blocks under Adam: zero gradients inside every branch at step 0, and it trains",
    run=train,
    threshold=0.4,
    architecture="ResNet",
    optimizer="Adam",
)
