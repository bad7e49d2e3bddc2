"""H1 of the peers' comparison: a He-initialised ReLU MLP under Adam."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._peers import fit_scaled


def train(seed: int, *, loss_scale: float = 1.0) -> float:
    """Train 200 steps."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=5)
    layers: list[nn.Module] = []
    for _ in range(6):
        linear = nn.Linear(64, 64)
        nn.init.kaiming_normal_(linear.weight)
        layers += [linear, nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(64, 5))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit_scaled(loss_of, model, optimizer, loss_scale=loss_scale)


CASE = Case(
    description="H1: He-initialised ReLU MLP under Adam",
    run=train,
    threshold=0.3,
    architecture="MLP",
    optimizer="Adam",
)
