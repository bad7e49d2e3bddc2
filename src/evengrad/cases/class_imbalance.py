"""One sample in thirty is positive: the loss starts low after a few steps and looks stuck while it still learns."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


def train(seed: int) -> float:
    """Train with Adam on one class in thirty against the rest."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=30, features=32, spread=1.0, samples=2048)
    model = nn.Sequential(nn.Linear(32, 48), nn.ReLU(), nn.Linear(48, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(128)
        return F.binary_cross_entropy_with_logits(model(x).squeeze(1), (y == 0).float())

    return fit(loss_of, optimizer, 300)


CASE = Case(
    description="ReLU MLP under Adam on one class in thirty: a long plateau at the base rate, then it learns",
    run=train,
    threshold=0.06,
    architecture="MLP",
    optimizer="Adam",
)
