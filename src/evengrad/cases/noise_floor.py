"""A regression whose targets are mostly noise: the loss falls by a tenth and can fall no further."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves
from evengrad.cases._loop import fit


def train(seed: int) -> float:
    """Train with SGD on targets with three times as much noise as signal."""
    torch.manual_seed(seed)
    data = waves(seed, samples=4096)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(128)
        return F.mse_loss(model(x), y + 2 * torch.randn_like(y))

    return fit(loss_of, optimizer, 300)


CASE = Case(
    description="ReLU regression under SGD on targets with noise of twice their size: a floor at 4",
    run=train,
    threshold=4.9,
    architecture="MLP",
    optimizer="SGD",
)
