"""S5 of the peers' comparison: a 3x128 ReLU MLP whose second layer has a bias of -30."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._peers import fit_scaled
from evengrad.core.finding import CauseKind


def train(seed: int, *, loss_scale: float = 1.0, bias: float = -30.0) -> float:
    """Train 200 steps with SGD; the healthy twin has a bias of zero."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=5)
    model = nn.Sequential(
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, 5),
    )
    nn.init.constant_(model[2].get_parameter("bias"), bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit_scaled(loss_of, model, optimizer, loss_scale=loss_scale)


CASE = Case(
    description="S5: 3x128 ReLU MLP with a bias of -30 in its second layer under SGD; module 3 is dead",
    run=train,
    twin=partial(train, bias=0.0),
    threshold=0.5,
    architecture="MLP",
    optimizer="SGD",
    fault="dead-units",
    causes=frozenset({CauseKind.DEAD_UNITS}),
    modules=("2", "3"),
    repairs=frozenset({"he-init", "lsuv-init", "zero-bias"}),
)
