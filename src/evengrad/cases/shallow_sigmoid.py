"""Two sigmoid layers: the textbook's villain, harmless at this depth."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


def train(seed: int) -> float:
    """Train with SGD."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.Sigmoid(), nn.Linear(64, 64), nn.Sigmoid(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 250)


CASE = Case(
    description="two-layer sigmoid MLP under SGD",
    run=train,
    threshold=0.2,
    architecture="MLP",
    optimizer="SGD",
)
