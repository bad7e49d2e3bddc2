"""S3 of the peers' comparison: ten ReLU layers of 64 units initialised with N(0, 1), Adam."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._peers import fit_scaled
from evengrad.core.finding import CauseKind


def train(seed: int, *, loss_scale: float = 1.0, std: float = 1.0) -> float:
    """Train 200 steps; the healthy twin uses He initialisation."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=5)
    layers: list[nn.Module] = []
    for _ in range(10):
        linear = nn.Linear(64, 64)
        nn.init.normal_(linear.weight, std=std)
        layers += [linear, nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(64, 5))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit_scaled(loss_of, model, optimizer, loss_scale=loss_scale)


CASE = Case(
    description="S3: 10x64 ReLU MLP initialised with N(0, 1) under Adam; a loss of 1e7",
    run=train,
    twin=partial(train, std=(2 / 64) ** 0.5),
    threshold=0.8,
    architecture="MLP",
    optimizer="Adam",
    fault="exploding-gradient",
    equivalents=frozenset({"bad-initialisation"}),
    causes=frozenset({CauseKind.WEIGHT_SCALE_LARGE}),
    repairs=frozenset({"he-init", "lsuv-init"}),
)
