"""S2 of the peers' comparison: twenty tanh layers of 64 units initialised with N(0, 0.02)."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._peers import fit_scaled
from evengrad.core.finding import CauseKind


def train(seed: int, *, loss_scale: float = 1.0, xavier: bool = False) -> float:
    """Train 200 steps with SGD; the healthy twin uses Xavier initialisation."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=5)
    layers: list[nn.Module] = []
    for _ in range(20):
        linear = nn.Linear(64, 64)
        if xavier:
            nn.init.xavier_normal_(linear.weight)
        else:
            nn.init.normal_(linear.weight, std=0.02)
        layers += [linear, nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(64, 5))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit_scaled(loss_of, model, optimizer, loss_scale=loss_scale)


CASE = Case(
    description="S2: 20x64 tanh MLP initialised with N(0, 0.02) under SGD; the first layer's gradient is 1e-16",
    run=train,
    twin=partial(train, xavier=True),
    threshold=0.8,
    architecture="MLP",
    optimizer="SGD",
    fault="vanishing-gradient",
    equivalents=frozenset({"bad-initialisation"}),
    causes=frozenset({CauseKind.WEIGHT_SCALE_SMALL}),
    modules=("0", "2", "4", "6"),
    repairs=frozenset({"lsuv-init", "orthogonal-init", "xavier-init"}),
)
