"""A ReLU layer whose bias starts at -30: it never fires, and nothing below it learns."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import spirals
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


def train(seed: int, *, bias: float = -30.0) -> float:
    """Train with SGD; the healthy twin starts with a bias of zero."""
    torch.manual_seed(seed)
    data = spirals(seed)
    model = nn.Sequential(
        nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )
    nn.init.constant_(model[2].get_parameter("bias"), bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(128)
        return F.binary_cross_entropy_with_logits(model(x).squeeze(1), y)

    return fit(loss_of, optimizer, 400)


CASE = Case(
    description="ReLU MLP with a bias of -30 in its second layer under SGD; that layer is dead",
    run=train,
    twin=partial(train, bias=0.0),
    threshold=0.3,
    architecture="MLP",
    optimizer="SGD",
    fault="dead-units",
    causes=frozenset({CauseKind.DEAD_UNITS}),
    modules=("2", "3"),
    repairs=frozenset({"he-init", "lsuv-init", "zero-bias"}),
)
