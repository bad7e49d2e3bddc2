"""A hinge loss that is soon exactly zero: no sample is left inside the margin, so all gradients are zero."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


def train(seed: int) -> float:
    """Train with SGD on two classes that can be told apart."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=2, features=16, spread=0.3)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.relu(1 - (2 * y - 1) * model(x).squeeze(1)).mean()

    return fit(loss_of, optimizer, 200)


CASE = Case(
    description="ReLU MLP with a hinge loss under SGD: solved after thirty steps, exactly zero gradients since",
    run=train,
    threshold=0.001,
    architecture="MLP",
    optimizer="SGD",
)
