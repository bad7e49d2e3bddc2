"""A learning rate of 1e-6 for SGD: after hundreds of steps the weights are where they began."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


def train(seed: int, *, lr: float = 1e-6) -> float:
    """Train with SGD; the healthy twin has a learning rate of 0.1."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 200)


CASE = Case(
    description="ReLU MLP under SGD with lr 1e-6; the loss stays at ln 10",
    run=train,
    twin=partial(train, lr=0.05),
    threshold=0.5,
    architecture="MLP",
    optimizer="SGD",
    fault="update-too-small",
    causes=frozenset({CauseKind.LEARNING_RATE_LOW}),
    repairs=frozenset({"higher-lr"}),
)
