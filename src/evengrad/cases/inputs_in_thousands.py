"""Inputs with a standard deviation of a thousand: the first gradient step is a thousand times too long."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


def train(seed: int, *, unit: float = 1000.0) -> float:
    """Train with SGD; the healthy twin has standardised inputs."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(unit * x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="ReLU MLP under SGD on inputs x1000; the loss jumps to 1e5 and never comes back",
    run=train,
    twin=partial(train, unit=1.0),
    threshold=0.5,
    architecture="MLP",
    optimizer="SGD",
    fault="input-scale",
    causes=frozenset({CauseKind.INPUT_SCALE}),
    modules=("0",),
    first_step=(0, 5),
    repairs=frozenset({"normalise-input"}),
)
