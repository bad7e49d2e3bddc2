"""A factor of 65536 on the loss and none of it taken out: Adam does not notice."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


def train(seed: int) -> float:
    """Train with Adam and return the loss without its factor."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return 65536 * F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 120) / 65536


CASE = Case(
    description="tanh MLP under Adam with its loss multiplied by 65536: gradient norms in the tens of thousands",
    run=train,
    threshold=0.2,
    architecture="MLP",
    optimizer="Adam",
)
