"""S1 of the peers' comparison: twelve sigmoid layers of 64 units, SGD with lr 0.01."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._peers import fit_scaled
from evengrad.core.finding import CauseKind


def train(seed: int, *, loss_scale: float = 1.0, activation: type[nn.Module] = nn.Sigmoid) -> float:
    """Train 200 steps; the healthy twin uses tanh and Xavier initialisation."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=5)
    layers: list[nn.Module] = []
    for _ in range(12):
        linear = nn.Linear(64, 64)
        if activation is nn.Tanh:
            nn.init.xavier_normal_(linear.weight)
        layers += [linear, activation()]
    model = nn.Sequential(*layers, nn.Linear(64, 5))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit_scaled(loss_of, model, optimizer, loss_scale=loss_scale)


CASE = Case(
    description="S1: 12x64 sigmoid MLP under SGD 0.01; the first layer's gradient is 1e-10 of the last one's",
    run=train,
    twin=partial(train, activation=nn.Tanh),
    threshold=0.8,
    architecture="MLP",
    optimizer="SGD",
    fault="vanishing-gradient",
    causes=frozenset({CauseKind.ACTIVATION_DERIVATIVE}),
    modules=("0", "2", "4"),
    repairs=frozenset({"relu + he-init", "tanh + xavier-init"}),
)
