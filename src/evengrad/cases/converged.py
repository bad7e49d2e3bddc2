"""Easy data: the run is at its goal after thirty steps and goes on for hundreds, with gradients of nearly nothing."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


def train(seed: int) -> float:
    """Train with SGD far beyond what the easy data need."""
    torch.manual_seed(seed)
    data = clusters(seed, spread=0.2, classes=4)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 600)


CASE = Case(
    description="ReLU MLP under SGD on easy data: converged after 30 of 600 steps, tiny gradients ever since",
    run=train,
    threshold=0.001,
    architecture="MLP",
    optimizer="SGD",
)
