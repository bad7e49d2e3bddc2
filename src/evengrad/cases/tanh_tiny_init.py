"""Twenty tanh layers whose weights start at N(0, 0.02): the signal is gone after a few of them."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


def train(seed: int, *, std: float = 0.02) -> float:
    """Train with RMSprop; the healthy twin keeps the variance (std 1/8 at width 64)."""
    torch.manual_seed(seed)
    data = clusters(seed)
    layers: list[nn.Module] = []
    for _ in range(20):
        layers += [nn.Linear(64, 64), nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(64, 10))
    for module in model:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std)
            nn.init.zeros_(module.bias)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-4)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="20-layer tanh MLP initialised with N(0, 0.02) under RMSprop; the first layers get no gradient",
    run=train,
    twin=partial(train, std=0.125),
    threshold=0.8,
    architecture="MLP",
    optimizer="RMSprop",
    fault="vanishing-gradient",
    equivalents=frozenset({"bad-initialisation"}),
    causes=frozenset({CauseKind.WEIGHT_SCALE_SMALL}),
    modules=("0", "2", "4", "6"),
    repairs=frozenset({"lsuv-init", "orthogonal-init", "xavier-init"}),
)
