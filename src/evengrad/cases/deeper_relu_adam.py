"""Twelve ReLU layers with default initialisation: nearly five decades of attenuation, and Adam still trains them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


def train(seed: int) -> float:
    """Train with Adam."""
    torch.manual_seed(seed)
    data = clusters(seed)
    layers: list[nn.Module] = []
    for _ in range(11):
        layers += [nn.Linear(64, 64), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 300)


CASE = Case(
    description="12-layer ReLU MLP with default initialisation under Adam: a slow start, then it trains",
    run=train,
    threshold=0.8,
    architecture="MLP",
    optimizer="Adam",
)
