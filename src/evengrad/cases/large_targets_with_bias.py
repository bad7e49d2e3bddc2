"""Targets round 500 where the output bias starts at their mean: large numbers, ordinary training."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves
from evengrad.cases._loop import fit


class Regressor(nn.Module):
    """Two ReLU layers; the output bias starts at the mean of the targets."""

    def __init__(self, mean: float) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        self.out = nn.Linear(48, 1)
        nn.init.constant_(self.out.bias, mean)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        return self.out(self.body(x))  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with Adam."""
    torch.manual_seed(seed)
    data = waves(seed)
    model = Regressor(500.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.mse_loss(model(x), 500 + y)

    return fit(loss_of, optimizer, 250)


CASE = Case(
    description="ReLU regression under Adam on targets of 500 +- 1 with the output bias at their mean",
    run=train,
    threshold=0.3,
    architecture="MLP",
    optimizer="Adam",
)
