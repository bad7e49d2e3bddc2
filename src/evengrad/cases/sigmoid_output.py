"""A sigmoid where it belongs, at the output, saturated in the end because the answers are certain."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


class Scorer(nn.Module):
    """Two hidden layers and a probability."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.head = nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities [B]."""
        return torch.sigmoid(self.head(self.body(x))).squeeze(1)


def train(seed: int) -> float:
    """Train with SGD."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=2, features=16, spread=0.7)
    model = Scorer()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.binary_cross_entropy(model(x), y.float())

    return fit(loss_of, optimizer, 200)


CASE = Case(
    description="ReLU MLP with a sigmoid output and BCELoss under SGD: saturated because it is right",
    run=train,
    threshold=0.1,
    architecture="MLP",
    optimizer="SGD",
)
