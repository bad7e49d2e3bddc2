"""A wide net with a summed loss: the gradient norm is in the thousands because there is much to sum."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


def train(seed: int) -> float:
    """Train with SGD and return the mean loss."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=2e-4, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(256)
        return F.cross_entropy(model(x), y, reduction="sum")

    return fit(loss_of, optimizer, 60) / 256


CASE = Case(
    description="wide ReLU MLP with a summed loss under SGD: a gradient norm in the hundreds, and it trains",
    run=train,
    threshold=0.3,
    architecture="MLP",
    optimizer="SGD",
)
