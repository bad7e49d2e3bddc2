"""Twenty ReLU layers whose weights are twice He's: every layer doubles signal and gradient."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


def train(seed: int, *, factor: float = 2.0) -> float:
    """Train with Adam; the healthy twin uses He initialisation."""
    torch.manual_seed(seed)
    data = clusters(seed)
    layers: list[nn.Module] = []
    for _ in range(20):
        linear = nn.Linear(64, 64)
        nn.init.normal_(linear.weight, std=factor * (2 / 64) ** 0.5)
        layers += [linear, nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="20-layer ReLU MLP with twice He's weights under Adam; the loss starts at millions",
    run=train,
    twin=partial(train, factor=1.0),
    threshold=1.2,
    architecture="MLP",
    optimizer="Adam",
    fault="exploding-gradient",
    equivalents=frozenset({"bad-initialisation"}),
    causes=frozenset({CauseKind.WEIGHT_SCALE_LARGE}),
    repairs=frozenset({"he-init", "lsuv-init"}),
)
